// An HTTP server and its clients, with and without TLS, that exchange JSON; and files.
package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
)

type question struct {
	Name    string            `json:"name"`
	Numbers []float64         `json:"numbers"`
	More    map[string]string `json:"more,omitempty"`
}

type answer struct {
	Sum    float64 `json:"sum"`
	Digest string  `json:"digest"`
}

func main() {
	handler := http.HandlerFunc(serve)
	plain := httptest.NewServer(handler)
	fmt.Println("http", ask(plain, 20))
	plain.Close()
	secure := httptest.NewTLSServer(handler)
	fmt.Println("https", ask(secure, 4))
	secure.Close()
	fmt.Println("sealed", sealed([]byte("a message")))
	fmt.Println("signed", signed([]byte("a message")))
	fmt.Println("address", address())
	fmt.Println("file", file())
}

func serve(w http.ResponseWriter, r *http.Request) {
	var asked question
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	said := answer{Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(asked.Name)))[:8]}
	for _, number := range asked.Numbers {
		said.Sum += number
	}
	if err := json.NewEncoder(w).Encode(said); err != nil {
		panic(err)
	}
}

// ask sends questions side by side and adds up the answers.
func ask(server *httptest.Server, clients int) (total answer) {
	var group sync.WaitGroup
	answers := make([]answer, clients)
	for i := range answers {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			body, err := json.Marshal(question{Name: "toolman", Numbers: []float64{0.5, float64(i)}})
			must(err)
			got, err := server.Client().Post(server.URL, "application/json", bytes.NewReader(body))
			must(err)
			defer got.Body.Close()
			must(json.NewDecoder(got.Body).Decode(&answers[i]))
		}(i)
	}
	group.Wait()
	for _, one := range answers {
		total.Sum += one.Sum
		total.Digest = one.Digest
	}
	return total
}

func sealed(message []byte) bool {
	block, err := aes.NewCipher(make([]byte, 32))
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	nonce := make([]byte, gcm.NonceSize())
	opened, err := gcm.Open(nil, nonce, gcm.Seal(nil, nonce, message, nil), nil)
	must(err)
	return bytes.Equal(opened, message)
}

func signed(message []byte) bool {
	public, private, err := ed25519.GenerateKey(nil)
	must(err)
	return ed25519.Verify(public, message, ed25519.Sign(private, message))
}

func address() []string {
	found, err := net.LookupHost("127.0.0.1")
	must(err)
	return found
}

// file goes through the calls that have a 64-bit offset.
func file() string {
	directory, err := os.MkdirTemp("", "web")
	must(err)
	defer os.RemoveAll(directory)
	opened, err := os.Create(filepath.Join(directory, "far"))
	must(err)
	defer opened.Close()
	_, err = opened.WriteAt([]byte("the end"), 5<<30)
	must(err)
	_, err = opened.Seek(-3, io.SeekEnd)
	must(err)
	text, err := io.ReadAll(opened)
	must(err)
	must(opened.Truncate(6 << 30))
	status, err := os.Stat(opened.Name())
	must(err)
	entries, err := os.ReadDir(directory)
	must(err)
	return fmt.Sprint(string(text), " ", status.Size()>>30, " ", entries[0].Name())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
