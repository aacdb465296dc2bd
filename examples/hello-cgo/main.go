// hello-cgo uses what makes a Go program need C: C code of its own with atomics and crypto
// instructions, and the two packages of the standard library that call C, net and os/user.
package main

// #include "hello.h"
import "C"

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/user"
	"runtime"
	"sync"
)

func main() {
	fmt.Printf("hello from %s/%s, %s\n", runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Printf("atomics:  %d calls counted by 8 threads\n", countCalls())
	fmt.Printf("crypto:   %s, by %s\n", aesRound(), C.GoString(C.aes_how()))
	fmt.Printf("os/user:  %s\n", check(userName()))
	fmt.Printf("net:      localhost is %s, and answers %s\n", localhost(), check(greet()))
}

func check(text string, err error) string {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello-cgo:", err)
		os.Exit(1)
	}
	return text
}

func countCalls() uint64 {
	var threads sync.WaitGroup
	for i := 0; i < 8; i++ {
		threads.Add(1)
		go func() {
			defer threads.Done()
			for j := 0; j < 1000; j++ {
				C.count_call()
			}
		}()
	}
	threads.Wait()
	return uint64(C.count_call())
}

// aesRound does the first round of the example in FIPS 197, appendix B.
func aesRound() string {
	block, _ := hex.DecodeString("193de3bea0f4e22b9ac68d2ae9f84808")
	key, _ := hex.DecodeString("a0fafe1788542cb123a339392a6c7605")
	C.aes_round((*C.uint8_t)(&block[0]), (*C.uint8_t)(&key[0]))
	if hex.EncodeToString(block) != "a49c7ff2689f352b6b5bea43026a5049" {
		return "wrong"
	}
	return "as in FIPS 197"
}

func userName() (string, error) {
	current, err := user.Current()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, with id %s", current.Username, current.Uid), nil
}

func localhost() string {
	addresses, err := net.LookupHost("localhost")
	if err != nil {
		return "unknown here" // as in a container without /etc/hosts
	}
	return addresses[0]
}

// greet sends a word to itself.
func greet() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	go func() {
		if one, err := listener.Accept(); err == nil {
			fmt.Fprint(one, "hello")
			one.Close()
		}
	}()
	one, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return "", err
	}
	defer one.Close()
	var word string
	_, err = fmt.Fscan(one, &word)
	return word, err
}
