/* What programs ask of <openssl/evp.h> and <openssl/ssl.h>, in words that LibreSSL has, too.
 * client ADDRESS PORT CERTIFICATE: 3 is the exit code if the server has another one. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Test case 16 of McGrew and Viega's paper on GCM. */
static const char KEY[] =
    "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08"
    "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08";
static const char IV[] = "\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88";
static const char MORE[] =
    "\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef\xab\xad\xda\xd2";
static const char TEXT[] =
    "\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a"
    "\x86\xa7\xa9\x53\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72"
    "\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25"
    "\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39";
enum { SIZE = sizeof TEXT - 1 };

static void fail(const char *what) {
    printf("failed: %s\n", what);
    exit(1);
}

static void need(int good, const char *what) {
    if (good != 1) fail(what);
}

static void print(const char *name, const unsigned char *bytes, unsigned size) {
    printf("%s ", name);
    while (size--) printf("%02x", *bytes++);
    puts("");
}

static void digest(void) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size;
    need(EVP_Digest("abc", 3, sum, &size, EVP_sha256(), NULL), "EVP_Digest");
    print("sha256", sum, size);
}

static const unsigned char *bytes(const char *text) { return (const unsigned char *)text; }

static void pack(EVP_CIPHER_CTX *context, unsigned char *packed, unsigned char *tag) {
    int size;
    need(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, bytes(KEY), bytes(IV)), "encrypt");
    need(EVP_EncryptUpdate(context, NULL, &size, bytes(MORE), sizeof MORE - 1), "encrypt: more");
    need(EVP_EncryptUpdate(context, packed, &size, bytes(TEXT), SIZE), "encrypt: text");
    need(size == SIZE && EVP_EncryptFinal_ex(context, packed + size, &size), "encrypt: end");
    need(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag), "tag");
}

static int unpacks(EVP_CIPHER_CTX *context, unsigned char *packed, unsigned char *tag) {
    unsigned char text[SIZE];
    int size;
    need(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, bytes(KEY), bytes(IV)), "decrypt");
    need(EVP_DecryptUpdate(context, NULL, &size, bytes(MORE), sizeof MORE - 1), "decrypt: more");
    need(EVP_DecryptUpdate(context, text, &size, packed, SIZE), "decrypt: text");
    need(size == SIZE && !memcmp(text, TEXT, SIZE), "decrypt: another text");
    need(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag), "decrypt: tag");
    return EVP_DecryptFinal_ex(context, text + size, &size) == 1;
}

static void cipher(void) {
    unsigned char packed[SIZE], tag[16];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    pack(context, packed, tag);
    print("aes-256-gcm", packed, SIZE);
    print("tag", tag, sizeof tag);
    need(unpacks(context, packed, tag), "the tag is not its own");
    tag[0] ^= 1;
    need(!unpacks(context, packed, tag), "another tag was taken for its own");
    EVP_CIPHER_CTX_free(context);
}

static int connected(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int file = socket(AF_INET, SOCK_STREAM, 0);
    need(inet_pton(AF_INET, address, &to.sin_addr), "address");
    need(!connect(file, (struct sockaddr *)&to, sizeof to), "connect");
    return file;
}

static int talk(const char *address, const char *port, const char *certificate) {
    static const char LINE[] = "hello from C\n";
    char answer[100];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    need(SSL_CTX_load_verify_locations(context, certificate, NULL), "certificate");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *tls = SSL_new(context);
    need(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), address), "address to verify");
    need(SSL_set_fd(tls, connected(address, port)), "SSL_set_fd");
    if (SSL_connect(tls) != 1) {
        printf("refused: %s\n", X509_verify_cert_error_string(SSL_get_verify_result(tls)));
        return 3;
    }
    need(SSL_write(tls, LINE, sizeof LINE - 1) == sizeof LINE - 1, "SSL_write");
    int size = SSL_read(tls, answer, sizeof answer);
    need(size > 0, "SSL_read");
    printf("%s %s %.*s", SSL_get_version(tls), SSL_get_cipher_name(tls), size, answer);
    SSL_shutdown(tls);
    SSL_free(tls);
    SSL_CTX_free(context);
    return 0;
}

int main(int count, char **words) {
    need(count == 4, "client ADDRESS PORT CERTIFICATE");
    puts(OpenSSL_version(OPENSSL_VERSION));
    digest();
    cipher();
    return talk(words[1], words[2], words[3]);
}
