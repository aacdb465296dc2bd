#include <sodium.h>
#include <stdio.h>
int main(void) {
    unsigned char public[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
    unsigned char packed[crypto_box_SEALBYTES + 6], text[6];
    if (sodium_init() < 0 || crypto_box_keypair(public, secret)) return 1;
    if (crypto_box_seal(packed, (const unsigned char *)"hello", 6, public)) return 2;
    if (crypto_box_seal_open(text, packed, sizeof packed, public, secret)) return 3;
    puts(sodium_version_string());
    return text[0] != 'h';
}
