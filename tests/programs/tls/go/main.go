// The client of ../c, in Go: what programs ask of OpenSSL or LibreSSL, by cgo.
package main

/*
#cgo pkg-config: libssl libcrypto
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
*/
import "C"

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// Test case 16 of McGrew and Viega's paper on GCM.
var (
	key  = unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
	iv   = unhex("cafebabefacedbaddecaf888")
	more = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
	text = unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
)

func unhex(word string) []byte {
	made, err := hex.DecodeString(word)
	need(err == nil, "hex")
	return made
}

func need(good bool, what string) {
	if !good {
		fmt.Println("failed:", what)
		os.Exit(1)
	}
}

func at(some []byte) *C.uchar {
	return (*C.uchar)(unsafe.Pointer(&some[0]))
}

func digest() {
	sum := make([]byte, C.EVP_MAX_MD_SIZE)
	var size C.uint
	abc := []byte("abc")
	good := C.EVP_Digest(unsafe.Pointer(&abc[0]), 3, at(sum), &size, C.EVP_sha256(), nil)
	need(good == 1, "EVP_Digest")
	fmt.Printf("sha256 %x\n", sum[:size])
}

func pack(context *C.EVP_CIPHER_CTX) (packed, tag []byte) {
	packed, tag = make([]byte, len(text)), make([]byte, 16)
	var size C.int
	need(C.EVP_EncryptInit_ex(context, C.EVP_aes_256_gcm(), nil, at(key), at(iv)) == 1, "encrypt")
	need(C.EVP_EncryptUpdate(context, nil, &size, at(more), C.int(len(more))) == 1, "more")
	need(C.EVP_EncryptUpdate(context, at(packed), &size, at(text), C.int(len(text))) == 1, "text")
	need(int(size) == len(text), "encrypt: size")
	need(C.EVP_EncryptFinal_ex(context, nil, &size) == 1, "encrypt: end")
	good := C.EVP_CIPHER_CTX_ctrl(context, C.EVP_CTRL_GCM_GET_TAG, 16, unsafe.Pointer(&tag[0]))
	need(good == 1, "tag")
	return packed, tag
}

func unpacks(context *C.EVP_CIPHER_CTX, packed, tag []byte) bool {
	made := make([]byte, len(text))
	var size C.int
	need(C.EVP_DecryptInit_ex(context, C.EVP_aes_256_gcm(), nil, at(key), at(iv)) == 1, "decrypt")
	need(C.EVP_DecryptUpdate(context, nil, &size, at(more), C.int(len(more))) == 1, "more")
	need(C.EVP_DecryptUpdate(context, at(made), &size, at(packed), C.int(len(packed))) == 1, "text")
	need(bytes.Equal(made, text), "decrypt: another text")
	good := C.EVP_CIPHER_CTX_ctrl(context, C.EVP_CTRL_GCM_SET_TAG, 16, unsafe.Pointer(&tag[0]))
	need(good == 1, "decrypt: tag")
	return C.EVP_DecryptFinal_ex(context, at(made), &size) == 1
}

func cipher() {
	context := C.EVP_CIPHER_CTX_new()
	defer C.EVP_CIPHER_CTX_free(context)
	packed, tag := pack(context)
	fmt.Printf("aes-256-gcm %x\ntag %x\n", packed, tag)
	need(unpacks(context, packed, tag), "the tag is not its own")
	tag[0] ^= 1
	need(!unpacks(context, packed, tag), "another tag was taken for its own")
}

func connected(address, port string) int {
	to, err := netip.ParseAddrPort(address + ":" + port)
	need(err == nil, "address")
	file, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	need(err == nil, "socket")
	err = syscall.Connect(file, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	need(err == nil, "connect")
	return file
}

func talk(address, port, certificate string) int {
	path, place := C.CString(certificate), C.CString(address)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(place))
	context := C.SSL_CTX_new(C.TLS_client_method())
	need(C.SSL_CTX_load_verify_locations(context, path, nil) == 1, "certificate")
	C.SSL_CTX_set_verify(context, C.SSL_VERIFY_PEER, nil)
	tls := C.SSL_new(context)
	defer C.SSL_free(tls)
	need(C.X509_VERIFY_PARAM_set1_ip_asc(C.SSL_get0_param(tls), place) == 1, "address to verify")
	need(C.SSL_set_fd(tls, C.int(connected(address, port))) == 1, "SSL_set_fd")
	if C.SSL_connect(tls) != 1 {
		why := C.X509_verify_cert_error_string(C.SSL_get_verify_result(tls))
		fmt.Println("refused:", C.GoString(why))
		return 3
	}
	line, answer := []byte("hello from Go\n"), make([]byte, 100)
	need(int(C.SSL_write(tls, unsafe.Pointer(&line[0]), C.int(len(line)))) == len(line), "SSL_write")
	size := C.SSL_read(tls, unsafe.Pointer(&answer[0]), C.int(len(answer)))
	need(size > 0, "SSL_read")
	name := C.SSL_CIPHER_get_name(C.SSL_get_current_cipher(tls))
	fmt.Print(C.GoString(C.SSL_get_version(tls)), " ", C.GoString(name), " ", string(answer[:size]))
	C.SSL_shutdown(tls)
	return 0
}

func main() {
	need(len(os.Args) == 4, "client ADDRESS PORT CERTIFICATE")
	fmt.Println(C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION)))
	digest()
	cipher()
	os.Exit(talk(os.Args[1], os.Args[2], os.Args[3]))
}
