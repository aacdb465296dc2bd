#include <stdio.h>
#include <string.h>
#include <zstd.h>
int main(void) {
    char packed[1000], text[100];
    ZSTD_CCtx *context = ZSTD_createCCtx();
    /* Fails in a library without threads. */
    if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, 2))) return 1;
    size_t size = ZSTD_compress2(context, packed, sizeof packed, "hello", 6);
    if (ZSTD_isError(size)) return 2;
    if (ZSTD_decompress(text, sizeof text, packed, size) != 6) return 3;
    puts(ZSTD_versionString());
    return strcmp(text, "hello") != 0;
}
