#include <jemalloc/jemalloc.h>
#include <stdio.h>
int main(void) {
    const char *version;
    size_t size = sizeof version;
    if (mallctl("version", &version, &size, 0, 0)) return 1;
    void *memory = malloc(100);
    puts(version);
    return sallocx(memory, 0) < 100;
}
