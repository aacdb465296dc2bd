#include <ffi.h>
#include <stdio.h>
static int add(int a, double b) { return a + (int)b; }
static void answer(ffi_cif *cif, void *result, void **values, void *data) {
    (void)cif, (void)values;
    *(ffi_arg *)result = *(int *)data;
}
int main(void) {
    ffi_cif cif, plain;
    ffi_type *types[] = {&ffi_type_sint, &ffi_type_double};
    int a = 40, seven = 7;
    double b = 2;
    void *values[] = {&a, &b}, *code;
    ffi_arg result;
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_sint, types)) return 1;
    ffi_call(&cif, FFI_FN(add), &result, values);
    if ((int)result != 42) return 2;
    ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
    if (ffi_prep_cif(&plain, FFI_DEFAULT_ABI, 0, &ffi_type_sint, 0)) return 3;
    if (ffi_prep_closure_loc(closure, &plain, answer, &seven, code)) return 4;
    puts("called");
    return ((int (*)(void))code)() != 7;
}
