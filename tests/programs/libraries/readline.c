#include <stdio.h>
#include <readline/history.h>
#include <readline/readline.h>
int main(void) {
    char *line = 0;
    using_history();
    add_history("one");
    if (history_expand("!!", &line) != 1) return 1;
    puts(rl_library_version);
    return line[0] != 'o';
}
