/* What the program says; the caller frees it. NULL if there is no memory. */
char *greet(const char *name);
