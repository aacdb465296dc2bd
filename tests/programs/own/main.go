// C code of its own, which needs libc and an atomic from libgcc.
package main

/*
#include <stdio.h>

static int seen;

static int describe(char *text, int size) {
	int count = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
	return snprintf(text, size, "%d call, %.1f", count, 0.5);
}
*/
import "C"

import (
	"fmt"
	"runtime"
)

var tag = "plain"

func main() {
	var text [32]C.char
	C.describe(&text[0], C.int(len(text)))
	fmt.Println("own", runtime.GOARCH, tag, C.GoString(&text[0]))
}
