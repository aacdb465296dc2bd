#include <bzlib.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    char packed[1000], text[100];
    unsigned size = sizeof packed, length = sizeof text;
    if (BZ2_bzBuffToBuffCompress(packed, &size, "hello, hello", 13, 9, 0, 0)) return 1;
    if (BZ2_bzBuffToBuffDecompress(text, &length, packed, size, 0, 0)) return 2;
    puts(BZ2_bzlibVersion());
    return strcmp(text, "hello, hello") != 0;
}
