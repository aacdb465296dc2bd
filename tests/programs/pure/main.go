// Pure Go: nothing here reaches a C library.
package main

import (
	"fmt"
	"runtime"
)

var tag = "plain"

func main() {
	fmt.Println("pure", runtime.GOARCH, tag)
}
