#include <curses.h>
#include <stdio.h>
#include <term.h>
int main(void) {
    int error;
    /* There may be no description of any terminal where this runs. */
    setupterm("dumb", 1, &error);
    puts(curses_version());
    return 0;
}
