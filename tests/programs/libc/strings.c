/* The string functions against the plain way: lengths and alignments, at both ends of memory. */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define SIZE (4 * PAGE)
#define CHECK(x) \
	do { \
		if (!(x)) { \
			printf("line %d: %s: n %zu, at %zu and %zu\n", __LINE__, #x, n, a, b); \
			exit(1); \
		} \
	} while (0)

/* By pointers, so that no compiler has its own. */
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
static void *(*volatile set)(void *, int, size_t) = memset;
static void *(*volatile find)(const void *, int, size_t) = memchr;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;
static size_t (*volatile length)(const char *) = strlen;
static char *(*volatile find_or_end)(const char *, int) = strchrnul;
static int (*volatile compare_strings)(const char *, const char *) = strcmp;

static unsigned char want[SIZE], random_bytes[SIZE];
static size_t n, a, b;

/* Memory with none before or behind it. */
static unsigned char *island(void)
{
	unsigned char *p = mmap(0, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p + PAGE, SIZE, PROT_READ | PROT_WRITE);
	return p + PAGE;
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static int same(const unsigned char *p)
{
	for (size_t i = 0; i < SIZE; i += 8)
		if (*(uint64_t *)(p + i) != *(uint64_t *)(want + i)) return 0;
	return 1;
}

static void fill(unsigned char *p)
{
	for (size_t i = 0; i < SIZE; i++) p[i] = want[i] = 0x5a;
}

static void copies(unsigned char *p, unsigned char *d, const unsigned char *s)
{
	fill(p);
	for (size_t i = 0; i < n; i++) want[d - p + i] = s[i];
	CHECK(copy(d, s, n) == d);
	CHECK(same(p));
	CHECK(compare(d, s, n) == 0);
	if (!n) return;
	size_t at = rand() % n;
	d[at] ^= 1 + rand() % 255;
	CHECK(sign(compare(d, s, n)) == (d[at] < s[at] ? -1 : 1));
	CHECK(compare(d, s, at) == 0);
}

/* `d` has n bytes, `s` as many. */
static void strings(unsigned char *d, unsigned char *s)
{
	for (size_t i = 0; i < n; i++) d[i] = s[i] = 0x80 + i % 100;
	d[n - 1] = s[n - 1] = 0;
	CHECK(length((char *)d) == n - 1);
	CHECK(find_or_end((char *)d, 'x') == (char *)d + n - 1);
	CHECK(find_or_end((char *)d, 0) == (char *)d + n - 1);
	CHECK(!find(d, 'x', n));
	CHECK(find(d, 0, n) == d + n - 1);
	CHECK(find(d, 0, -1) == d + n - 1);
	CHECK(!find(d, 0, n - 1));
	CHECK(compare_strings((char *)d, (char *)s) == 0);
	if (n == 1) return;
	size_t at = rand() % (n - 1);
	d[at] = 'x';
	CHECK(find_or_end((char *)d, 0x100 + 'x') == (char *)d + at);
	CHECK(find(d, 0x100 + 'x', n) == d + at);
	CHECK(!find(d, 'x', at));
	CHECK(sign(compare_strings((char *)d, (char *)s)) == -1);
	d[at] = 0;
	CHECK(sign(compare_strings((char *)d, (char *)s)) == -1);
	CHECK(sign(compare_strings((char *)s, (char *)d)) == 1);
}

static void overlapping(unsigned char *p)
{
	for (long by = -300; by <= 300; by += by > -70 && by < 70 && n < 160 ? 3 : 23) {
		size_t from = PAGE + a, to = from + by;
		b = to;
		memcpy(p, random_bytes, SIZE);
		memcpy(want, random_bytes, SIZE);
		for (size_t i = 0; i < n; i++) want[to + i] = random_bytes[from + i];
		CHECK(move(p + to, p + from, n) == p + to);
		CHECK(same(p));
	}
}

int main(void)
{
	static const size_t places[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64};
	static const size_t long_ones[] = {511, 600, 1023, 2047, 2048, 2049, 4095, 4096, 4097, 8000};
	unsigned char *p = island(), *q = island();
	for (size_t i = 0; i < SIZE; i++) random_bytes[i] = rand();
	for (size_t k = 0; k < 300 + sizeof long_ones / sizeof *long_ones; k++) {
		n = k < 300 ? k : long_ones[k - 300];
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			a = places[i];
			b = places[rand() % (sizeof places / sizeof *places)];
			for (int end = 0; end < 2; end++) {
				unsigned char *d = end ? p + SIZE - n - a : p + a;
				unsigned char *s = end ? q + SIZE - n - b : q + b;
				memcpy(q, random_bytes, SIZE);
				copies(p, d, s);
				fill(p);
				for (size_t j = 0; j < n; j++) want[d - p + j] = 0xc3;
				CHECK(set(d, 0x1c3, n) == d);
				CHECK(same(p));
				if (n) strings(d, s);
			}
			if (i % 4 == k % 4) overlapping(p);
		}
	}
	puts("the same");
	return 0;
}
