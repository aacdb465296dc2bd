#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    /* That malloc is this one shows by who owns its memory. */
    void *memory = malloc(100);
    printf("%d\n", mi_version());
    return !mi_is_in_heap_region(memory);
}
