#include "greet.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char *text = greet(argc > 1 ? argv[1] : "world");
    int failed = !text || puts(text) < 0;
    free(text);
    return failed;
}
