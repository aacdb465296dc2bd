#include "greet.h"

#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *text = greet("Ada");
    int failed = !text || strcmp(text, "hello Ada") != 0;
    free(text);
    return failed;
}
