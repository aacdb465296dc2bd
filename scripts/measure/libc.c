/* What programs ask of a libc most, one at a time: `libc WHAT` does it for a while and prints the
 * seconds of processor time. The sizes are those of usual programs: most of them small. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER (1 << 16)
#define LARGE (8 << 20)

static unsigned state = 1;
static volatile size_t sink;

static unsigned next(void)
{
	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

/* Of ten, seven are below 64, two below 1024, one below 16384. */
static size_t usual(void)
{
	unsigned kind = next() % 10;
	return 1 + next() % (kind < 7 ? 64 : kind < 9 ? 1024 : 16384);
}

static void *allocate(void *rounds)
{
	enum { KEPT = 1000 };
	static __thread void *kept[KEPT];
	unsigned seed = 7;
	for (size_t i = (size_t)rounds; i; i--) {
		seed = seed * 1664525u + 1013904223u;
		void **one = &kept[(seed >> 8) % KEPT];
		free(*one);
		*one = malloc(1 + (seed >> 20) % ((seed & 7) ? 128 : 2048));
		*(char *)*one = 1;
	}
	for (int i = 0; i < KEPT; i++) free(kept[i]);
	return 0;
}

static void do_malloc(void)
{
	allocate((void *)4000000);
}

static void do_threads(void)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, allocate, (void *)1000000);
	for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
}

static char from[LARGE + 64], to[LARGE + 64];

static void do_memcpy(void)
{
	for (int i = 0; i < 8000000; i++) memcpy(to + next() % BUFFER, from + next() % BUFFER, usual());
}

static void do_memcpy_large(void)
{
	for (int i = 0; i < 60; i++) memcpy(to + i, from + 1, LARGE);
	for (int i = 0; i < 20000; i++) memcpy(to + i % 64, from + 1, BUFFER);
}

static void do_memset(void)
{
	for (int i = 0; i < 8000000; i++) memset(to + next() % BUFFER, i, usual());
}

static size_t ends[4096];

static void strings(void)
{
	size_t at = 0;
	memset(from, 'a', LARGE);
	for (int i = 0; i < 4096; i++) {
		ends[i] = at;
		at += usual();
		from[at++] = 0;
	}
	memcpy(to + 3, from, at);
}

static void do_strlen(void)
{
	strings();
	for (int i = 0; i < 8000000; i++) sink += strlen(from + ends[next() % 4096]);
}

static void do_strcmp(void)
{
	strings();
	for (int i = 0; i < 8000000; i++) {
		size_t at = ends[next() % 4096];
		sink += strcmp(from + at, to + 3 + at);
	}
}

static void do_memcmp(void)
{
	strings();
	for (int i = 0; i < 8000000; i++) {
		const char *one = from + next() % BUFFER, *other = from + next() % BUFFER;
		sink += memcmp(one, other, usual());
	}
}

static void do_memchr(void)
{
	strings();
	for (int i = 0; i < 8000000; i++) sink += (size_t)memchr(from + ends[next() % 4096], 0, LARGE / 2);
}

static void do_strchr(void)
{
	strings();
	for (int i = 0; i < 8000000; i++) sink += (size_t)strchr(from + ends[next() % 4096], 'b');
}

static int by_int(const void *l, const void *r)
{
	int a = *(const int *)l, b = *(const int *)r;
	return (a > b) - (a < b);
}

static int by_text(const void *l, const void *r)
{
	return strcmp(*(char *const *)l, *(char *const *)r);
}

static int by_key(const void *l, const void *r)
{
	return by_int(l, r);
}

static void do_qsort(void)
{
	enum { N = 200000 };
	static int ints[N];
	static char *texts[N];
	static struct { int key; char rest[60]; } structs[N];
	static char letters[N][8];
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++) {
			ints[i] = structs[i].key = next();
			snprintf(letters[i], 8, "%06x", next() & 0xffffff);
			texts[i] = letters[i];
		}
		qsort(ints, N, sizeof *ints, by_int);
		qsort(texts, N, sizeof *texts, by_text);
		qsort(structs, N, sizeof *structs, by_key);
		for (int i = 0; i < N; i += 20) qsort(ints + i, 20, sizeof *ints, by_int);
	}
}

static const struct {
	const char *name;
	void (*function)(void);
} all[] = {
	{"malloc", do_malloc}, {"malloc-threads", do_threads}, {"memcpy", do_memcpy},
	{"memcpy-large", do_memcpy_large}, {"memset", do_memset}, {"memcmp", do_memcmp},
	{"memchr", do_memchr}, {"strlen", do_strlen}, {"strchr", do_strchr}, {"strcmp", do_strcmp},
	{"qsort", do_qsort},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (argc > 1 && strcmp(argv[1], all[i].name)) continue;
		clock_t begin = clock();
		all[i].function();
		printf("%s %.3f\n", all[i].name, (double)(clock() - begin) / CLOCKS_PER_SEC);
	}
	return 0;
}
