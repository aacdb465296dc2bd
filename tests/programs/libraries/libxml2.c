#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    const char *text = "<?xml version='1.0' encoding='ISO-8859-1'?><a><b>\344</b></a>";
    xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), 0, 0, 0);
    if (!document) return 1;
    xmlXPathContextPtr context = xmlXPathNewContext(document);
    xmlXPathObjectPtr found = xmlXPathEvalExpression(BAD_CAST "string(/a/b)", context);
    puts(LIBXML_DOTTED_VERSION);
    return strcmp((char *)found->stringval, "\303\244") != 0;
}
