#include <stdio.h>
#include <string.h>
#include <zlib.h>
int main(void) {
    unsigned char packed[100], text[100];
    uLongf size = sizeof packed, length = sizeof text;
    if (compress(packed, &size, (const Bytef *)"hello, hello, hello", 20)) return 1;
    if (uncompress(text, &length, packed, size)) return 2;
    puts(zlibVersion());
    return strcmp((char *)text, "hello, hello, hello") != 0;
}
