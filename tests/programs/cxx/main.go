// C++ code of its own, which needs libstdc++: an exception, a thread, a stream.
package main

// #include "describe.h"
import "C"

import (
	"fmt"
	"runtime"
)

var tag = "plain"

func main() {
	var text [32]C.char
	C.describe(&text[0], C.int(len(text)))
	fmt.Println("cxx", runtime.GOARCH, tag, C.GoString(&text[0]))
}
