#include <stdint.h>

// Adds 1 to a counter that threads share, and returns what it was.
uint64_t count_call(void);

// One round of AES over a block of 16 bytes, in place.
void aes_round(uint8_t block[16], const uint8_t key[16]);

// How aes_round does it on this machine: "AES instructions" or "portable C".
const char *aes_how(void);
