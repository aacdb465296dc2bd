#ifdef __cplusplus
extern "C"
#endif
void describe(char *text, int size);
