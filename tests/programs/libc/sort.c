/* qsort and qsort_r: sorted, stable, and nothing else changed; for many sizes of elements. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t width;

static int by_first(const void *l, const void *r)
{
	return *(const unsigned char *)l - *(const unsigned char *)r;
}

static int with_argument(const void *l, const void *r, void *arg)
{
	if (arg != &width) abort();
	return by_first(l, r);
}

/* Where the element stood: its second and third byte say it. */
static size_t stood(const unsigned char *one)
{
	return one[1] | one[2] << 8;
}

static int sorts(size_t n, int kind, int off)
{
	unsigned char *memory = malloc(n * width + 1), *base = memory + off, *before = malloc(n * width + 1);
	for (size_t i = 0; i < n * width; i++) base[i] = rand();
	for (size_t i = 0; i < n; i++) {
		unsigned char *one = base + i * width;
		if (kind == 1) one[0] = i / 4;
		if (kind == 2) one[0] = 255 - i / 4;
		if (kind == 3) one[0] &= 3;
		if (width > 2) one[1] = i, one[2] = i >> 8;
	}
	memcpy(before, base, n * width);
	if (kind & 1) qsort(base, n, width, by_first);
	else qsort_r(base, n, width, with_argument, &width);
	int good = 1;
	for (size_t i = 0; i < n; i++) {
		unsigned char *one = base + i * width, *last = one - width;
		if (i && last[0] > one[0]) good = 0;
		if (width < 3) continue;
		if (i && last[0] == one[0] && stood(last) >= stood(one)) good = 0;
		if (memcmp(one, before + stood(one) * width, width)) good = 0;
	}
	free(memory);
	free(before);
	return good;
}

int main(void)
{
	static const size_t widths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 31, 32, 33, 40, 64, 100, 1000};
	for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
		for (size_t n = 0; n < 700; n += n < 20 ? 1 : 97)
			for (int kind = 0; kind < 4; kind++)
				for (int off = 0; off < 2; off++) {
					width = widths[w];
					if (sorts(n, kind, off)) continue;
					printf("width %zu, n %zu, kind %d, off %d\n", width, n, kind, off);
					return 1;
				}
	puts("sorted");
	return 0;
}
