// A round of AES by the machine's instructions where it has them, which only a look at run time
// can tell: a Raspberry Pi 4 has none. The portable branch shows that both agree.
#include <string.h>

#include "hello.h"

static uint8_t times2(uint8_t x) {
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

// The S-box is the inverse in GF(2^8), then an affine map.
static uint8_t multiply(uint8_t a, uint8_t b) {
    uint8_t sum = 0;
    for (; b; b >>= 1, a = times2(a))
        sum ^= b & 1 ? a : 0;
    return sum;
}

static uint8_t substitute(uint8_t x) {
    uint8_t inverse = 1;
    for (int i = 0; i < 254; i++)
        inverse = multiply(inverse, x);
    uint8_t y = inverse;
    for (int i = 1; i < 5; i++)
        y ^= (uint8_t)(inverse << i | inverse >> (8 - i));
    return y ^ 0x63;
}

static void portable(uint8_t block[16], const uint8_t key[16]) {
    uint8_t shifted[16];
    for (int i = 0; i < 16; i++)
        shifted[i] = substitute(block[(i * 5) % 16]);
    for (int i = 0; i < 16; i++) {
        const uint8_t *column = shifted + i / 4 * 4;
        uint8_t a = column[i % 4], b = column[(i + 1) % 4];
        uint8_t c = column[(i + 2) % 4], d = column[(i + 3) % 4];
        block[i] = times2(a) ^ times2(b) ^ b ^ c ^ d ^ key[i];
    }
}

#if defined(__aarch64__) && defined(__ARM_FEATURE_CRYPTO)

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

static int has_instructions(void) {
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
}

static void by_instructions(uint8_t block[16], const uint8_t key[16]) {
    uint8x16_t mixed = vaesmcq_u8(vaeseq_u8(vld1q_u8(block), vdupq_n_u8(0)));
    vst1q_u8(block, veorq_u8(mixed, vld1q_u8(key)));
}

#elif defined(__x86_64__)

#include <wmmintrin.h>

static int has_instructions(void) {
    return __builtin_cpu_supports("aes");
}

__attribute__((target("aes"))) static void by_instructions(uint8_t block[16],
                                                           const uint8_t key[16]) {
    __m128i state = _mm_loadu_si128((const __m128i *)block);
    state = _mm_aesenc_si128(state, _mm_loadu_si128((const __m128i *)key));
    _mm_storeu_si128((__m128i *)block, state);
}

#else

static int has_instructions(void) {
    return 0;
}

static void by_instructions(uint8_t block[16], const uint8_t key[16]) {
    portable(block, key);
}

#endif

const char *aes_how(void) {
    return has_instructions() ? "AES instructions" : "portable C";
}

void aes_round(uint8_t block[16], const uint8_t key[16]) {
    uint8_t check[16];
    memcpy(check, block, sizeof check);
    portable(check, key);
    if (has_instructions())
        by_instructions(block, key);
    else
        memcpy(block, check, sizeof check);
    // An instruction that computes something else shall be seen.
    if (memcmp(block, check, sizeof check) != 0)
        memset(block, 0, sizeof check);
}
