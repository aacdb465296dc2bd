#include <stdio.h>
#include <stdlib.h>
#include <turbojpeg.h>
int main(void) {
    unsigned char pixels[16 * 16 * 3] = {0}, again[16 * 16 * 3] = {1}, *packed = 0;
    unsigned long size = 0;
    tjhandle packer = tjInitCompress(), unpacker = tjInitDecompress();
    if (tjCompress2(packer, pixels, 16, 0, 16, TJPF_RGB, &packed, &size, TJSAMP_420, 90, 0)) return 1;
    if (tjDecompress2(unpacker, packed, size, again, 16, 0, 16, TJPF_RGB, 0)) return 2;
    puts("packed");
    return again[0];
}
