#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#ifndef LIBRESSL_VERSION_NUMBER
#include <openssl/provider.h>
#endif
int main(void) {
    unsigned char key[32] = {1}, iv[12] = {2}, packed[32], tag[16], text[32], digest[32];
    unsigned size;
    int length;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), 0, key, iv);
    EVP_EncryptUpdate(context, packed, &length, (unsigned char *)"hello", 6);
    EVP_EncryptFinal_ex(context, packed + length, &length);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag);
    EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), 0, key, iv);
    EVP_DecryptUpdate(context, text, &length, packed, 6);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag);
    if (EVP_DecryptFinal_ex(context, text + 6, &length) != 1) return 1;
    if (!EVP_Digest("abc", 3, digest, &size, EVP_sha256(), 0) || digest[0] != 0xba) return 2;
#ifndef LIBRESSL_VERSION_NUMBER
    if (!OSSL_PROVIDER_load(0, "legacy")) return 3;
#endif
    if (!SSL_CTX_new(TLS_client_method())) return 4;
    puts(OpenSSL_version(OPENSSL_VERSION));
    return strcmp((char *)text, "hello") != 0;
}
