// With -march=armv8-a, gcc calls a helper of libgcc for this, which looks at run time whether the
// machine has the atomic instructions of ARMv8.1 ("outline atomics").
#include <stdatomic.h>

#include "hello.h"

static _Atomic uint64_t calls;

uint64_t count_call(void) {
    return atomic_fetch_add(&calls, 1);
}
