#include "openssl.c"
