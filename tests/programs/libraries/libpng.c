#include <png.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    unsigned char pixels[] = {255, 0, 0, 0, 255, 0}, packed[1000], again[6];
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 2, .height = 1,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = sizeof packed;
    if (!png_image_write_to_memory(&image, packed, &size, 0, pixels, 0, 0)) return 1;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, packed, size)) return 2;
    image.format = PNG_FORMAT_RGB;
    if (!png_image_finish_read(&image, 0, again, 0, 0)) return 3;
    puts(png_get_libpng_ver(0));
    return memcmp(pixels, again, sizeof again);
}
