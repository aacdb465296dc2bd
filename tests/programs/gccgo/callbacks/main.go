// C and Go that call each other, from goroutines and from threads that C made.
package main

/*
#cgo LDFLAGS: -pthread
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern double half(double);
extern void seen(int);

static double twice_half(double x) {
	return half(x) + half(x);
}

static void *in_thread(void *number) {
	seen(*(int *)number);
	return number;
}

static int call_from_thread(int number) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, in_thread, &number)) return -1;
	return pthread_join(thread, NULL);
}

static int compare(const void *a, const void *b) {
	return *(const int *)a - *(const int *)b;
}

static void sort(int *numbers, size_t count) {
	qsort(numbers, count, sizeof *numbers, compare);
}

static int fails(int slowly) {
	struct timespec time = {0, 30000};
	if (slowly) nanosleep(&time, NULL);
	errno = ENOENT;
	return -1;
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

var total int64

//export half
func half(x C.double) C.double {
	runtime.Gosched()
	return x / 2
}

//export seen
func seen(number C.int) {
	done := make(chan int)
	go func() { done <- int(number) }()
	atomic.AddInt64(&total, int64(<-done))
}

func main() {
	fmt.Println("root", C.sqrt(2))
	fmt.Println("halves", halves(50))
	fmt.Println("threads", threads(20))
	fmt.Println("sorted", sorted())
	_, err := C.fails(0)
	fmt.Println("error", err)
	fmt.Println("errors", errors(16, 20))
}

func halves(goroutines int) float64 {
	results := make(chan float64)
	for i := 0; i < goroutines; i++ {
		go func(i int) { results <- float64(C.twice_half(C.double(i))) }(i)
	}
	sum := 0.0
	for i := 0; i < goroutines; i++ {
		sum += <-results
	}
	return sum
}

// errors calls what takes long enough for the scheduler to give its processor to others.
func errors(goroutines, calls int) int64 {
	var group sync.WaitGroup
	var count int64
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < calls; j++ {
				if _, err := C.fails(1); err != nil {
					atomic.AddInt64(&count, 1)
				}
			}
		}()
	}
	group.Wait()
	return count
}

func threads(count int) int64 {
	var group sync.WaitGroup
	for i := 1; i <= count; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			if code := C.call_from_thread(C.int(i)); code != 0 {
				panic(fmt.Sprint("no thread: ", code))
			}
		}(i)
	}
	group.Wait()
	return atomic.LoadInt64(&total)
}

func sorted() []int {
	const count = 1000
	memory := C.malloc(count * C.sizeof_int)
	defer C.free(memory)
	numbers := (*[count]C.int)(unsafe.Pointer(memory))[:]
	for i := range numbers {
		numbers[i] = C.int(i * 7919 % count)
	}
	C.sort(&numbers[0], count)
	return []int{int(numbers[0]), int(numbers[1]), int(numbers[count-1])}
}
