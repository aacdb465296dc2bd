#include <lzma.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    uint8_t packed[1000], text[100];
    size_t size = 0, from = 0, length = 0;
    uint64_t memory = 1 << 26;
    if (lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, 0, (const uint8_t *)"hello", 6, packed, &size,
                                sizeof packed))
        return 1;
    if (lzma_stream_buffer_decode(&memory, 0, 0, packed, &from, size, text, &length, sizeof text))
        return 2;
    puts(lzma_version_string());
    return strcmp((char *)text, "hello") != 0;
}
