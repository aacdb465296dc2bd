// Zstandard, in C: there and back, whole and as a stream.
package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/DataDog/zstd"
)

func main() {
	text := bytes.Repeat([]byte("a line of a text that repeats itself\n"), 30000)
	small, err := zstd.CompressLevel(nil, text, 19)
	check(err)
	back, err := zstd.Decompress(nil, small)
	check(err)

	var packed bytes.Buffer
	writer := zstd.NewWriter(&packed)
	_, err = writer.Write(text)
	check(err)
	check(writer.Close())
	reader := zstd.NewReader(&packed)
	streamed, err := io.ReadAll(reader)
	check(err)
	check(reader.Close())
	fmt.Println(len(text), len(small) < 1000, bytes.Equal(back, text), bytes.Equal(streamed, text))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
