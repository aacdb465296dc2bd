// The standard library's own cgo and no other: net and os/user.
package main

import (
	"context"
	"fmt"
	"net"
	"os/user"
	"runtime"
)

var tag = "plain"

func main() {
	root, err := user.LookupId("0")
	if err != nil {
		panic(err)
	}
	port, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", "https")
	if err != nil {
		panic(err)
	}
	fmt.Println("std", runtime.GOARCH, tag, root.Username, port)
}
