#include <lz4.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    char packed[100], text[100];
    int size = LZ4_compress_default("hello, hello", packed, 13, sizeof packed);
    if (LZ4_decompress_safe(packed, text, size, sizeof text) != 13) return 1;
    puts(LZ4_versionString());
    return strcmp(text, "hello, hello") != 0;
}
