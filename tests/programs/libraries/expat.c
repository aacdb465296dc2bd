#include <expat.h>
#include <stdio.h>
static int found;
static void start(void *data, const XML_Char *name, const XML_Char **values) {
    (void)data, (void)name, (void)values;
    found++;
}
int main(void) {
    XML_Parser parser = XML_ParserCreate(0);
    XML_SetElementHandler(parser, start, 0);
    if (!XML_Parse(parser, "<a><b/></a>", 11, 1)) return 1;
    puts(XML_ExpatVersion());
    return found != 2;
}
