#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#include "greet.h"

#include <stdio.h>
#include <stdlib.h>

char *greet(const char *name)
{
    int size = snprintf(NULL, 0, "hello %s", name) + 1;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "hello %s", name);
    return text;
}
