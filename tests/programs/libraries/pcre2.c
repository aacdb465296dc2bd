#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
int main(void) {
    int error;
    PCRE2_SIZE where;
    uint32_t jit = 0;
    char version[32];
    pcre2_code *code = pcre2_compile((PCRE2_SPTR) "(\\p{L}+) (\\d+)", PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF, &error, &where, 0);
    if (!code || pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)) return 1;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, 0);
    if (pcre2_match(code, (PCRE2_SPTR) "gr\303\274n 42", 8, 0, 0, data, 0) != 3) return 2;
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    pcre2_config(PCRE2_CONFIG_VERSION, version);
    puts(version);
    return jit != 1;
}
