// Goroutines that move between threads, with panics, floats and the collector at work.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	runtime.GOMAXPROCS(4)
	fmt.Println("ring", ring(200, 100))
	fmt.Println("floats", floats(50, 200))
	fmt.Println("collected", collected(8, 300))
	fmt.Println("moved", moved())
	fmt.Println("recovered", recovered(new(holder)))
	fmt.Println("deep", deep(10000))
	fmt.Println("frames", frames())
	fmt.Println("exited", exited())
	fmt.Println("signal", signalled())
	fmt.Println("timeout", timeout())
}

// ring passes a number on through `size` goroutines, `rounds` times.
func ring(size, rounds int) int {
	first := make(chan int)
	in := first
	for i := 0; i < size; i++ {
		out := make(chan int)
		go func(in, out chan int) {
			for n := range in {
				out <- n + 1
			}
			close(out)
		}(in, out)
		in = out
	}
	total := 0
	for i := 0; i < rounds; i++ {
		first <- total
		total = <-in
	}
	close(first)
	return total
}

// floats keeps eight values in registers while others run.
func floats(goroutines, rounds int) float64 {
	var group sync.WaitGroup
	sums := make([]float64, goroutines)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			a, b, c, d := float64(i), float64(i)+1, float64(i)+2, float64(i)+3
			e, f, g, h := a*2, b*2, c*2, d*2
			for n := 0; n < rounds; n++ {
				a, b, c, d, e, f, g, h = b, c, d, e, f, g, h, a
				runtime.Gosched()
			}
			sums[i] = a + b + c + d + e + f + g + h
		}(i)
	}
	group.Wait()
	total := 0.0
	for _, sum := range sums {
		total += sum
	}
	return total
}

type node struct {
	left, right *node
	text        string
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{text: fmt.Sprint(depth)}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1), text: fmt.Sprint(depth)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

// collected builds trees and shifts slices of pointers while the collector runs.
func collected(goroutines, rounds int) int64 {
	var nodes int64
	var group sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			kept := make([]*node, 64)
			for n := 0; n < rounds; n++ {
				copy(kept[1:], kept)
				kept[0] = tree(4)
				atomic.AddInt64(&nodes, int64(kept[n%64].count()))
				if n%100 == 0 {
					runtime.GC()
				}
			}
		}()
	}
	group.Wait()
	return nodes
}

// moved compares overlapping moves, through the runtime, with moves byte by byte.
func moved() string {
	for from := 0; from < 24; from++ {
		for to := 0; to < 24; to++ {
			for size := 0; size < 40; size++ {
				got, want := make([]byte, 64), make([]byte, 64)
				for i := range got {
					got[i], want[i] = byte(i), byte(i)
				}
				value := reflect.ValueOf(got)
				reflect.Copy(value.Slice(to, to+size), value.Slice(from, from+size))
				for i := 0; i < size; i++ {
					want[to+i] = byte(from + i)
				}
				if string(got) != string(want) {
					return fmt.Sprintf("wrong: %d bytes from %d to %d", size, from, to)
				}
			}
		}
	}
	return "right"
}

type holder struct{ next *holder }

// recovered is told of a nil pointer by a signal, and of an index and an error by panics.
func recovered(empty *holder) (said []string) {
	for _, fault := range []func(){
		func() { empty.next.next = nil },
		func() { _ = make([]int, 1)[len(said)] },
		func() { panic(errors.New("of its own")) },
	} {
		func() {
			defer func() { said = append(said, fmt.Sprint(recover())) }()
			fault()
		}()
	}
	return said
}

func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}

// frames tells whether a goroutine's stack ends, where it should.
func frames() bool {
	ended := make(chan bool)
	go func() {
		pcs := make([]uintptr, 50)
		count := runtime.Callers(0, pcs)
		ended <- count > 0 && count < 10 && len(stack()) > 0
	}()
	return <-ended
}

func stack() []byte {
	text := make([]byte, 1<<16)
	return text[:runtime.Stack(text, true)]
}

func exited() (said string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { said = "deferred" }()
		runtime.Goexit()
	}()
	<-done
	return said
}

func signalled() os.Signal {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		panic(err)
	}
	return <-got
}

func timeout() bool {
	select {
	case <-make(chan int):
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}
