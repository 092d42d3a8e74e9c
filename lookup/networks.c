/* SPDX-License-Identifier: ISC */
/*
 * Networks as ranges of addresses, one list a family.
 *
 * Invariant: after networks_seal() the ranges of a list are in ascending order
 * and don't overlap, so at most one can hold an address.  An IPv4-mapped
 * address of IPv6 is one of IPv4.  Nothing is fatal.
 */
#include "lookup/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/network_text.h"
#include "lib/net/host.h"

struct list {
	size_t width;	 /* octets of an address */
	uint8_t *ranges; /* of each the first and the last address */
	size_t n, cap;
};

struct networks {
	struct list v4, v6;
};

struct networks *
networks_create(void)
{
	struct networks *n;

	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	n->v4.width = NETWORK_V4_OCTETS;
	n->v6.width = NETWORK_V6_OCTETS;
	return n;
}

void
networks_free(struct networks *n)
{
	if (n == NULL)
		return;
	free(n->v4.ranges);
	free(n->v6.ranges);
	free(n);
}

/* -- making it -- */

/* Room for one more range; NULL: ENOMEM. */
static uint8_t *
list_reserve(struct list *l)
{
	size_t cap = l->cap == 0 ? 16 : l->cap * 2;
	uint8_t *ranges;

	if (l->n == l->cap) {
		if ((ranges = reallocarray(l->ranges, cap, 2 * l->width)) == NULL)
			return NULL;
		l->ranges = ranges;
		l->cap = cap;
	}
	return l->ranges + l->n * 2 * l->width;
}

/* Its first and its last address. */
static void
fill_range(uint8_t *range, const struct network *n)
{
	size_t i, whole = n->bits / 8;

	for (i = 0; i < n->width; i++) {
		/* The bits of the host in this octet. */
		uint8_t host = i < whole ? 0 : 0xff;

		if (i == whole)
			host = (uint8_t)(0xff >> n->bits % 8);
		range[i] = (uint8_t)(n->octets[i] & ~host);
		range[n->width + i] = n->octets[i] | host;
	}
}

int
networks_add(struct networks *n, const char *text)
{
	struct network network;
	struct list *l;
	uint8_t *range;

	if (network_parse(text, &network) == -1) {
		errno = EINVAL;
		return -1;
	}
	l = network.width == NETWORK_V4_OCTETS ? &n->v4 : &n->v6;
	if ((range = list_reserve(l)) == NULL)
		return -1;
	fill_range(range, &network);
	l->n++;
	return 0;
}

/* By the first address; where it is the same, the larger range first. */
static int
compare(const uint8_t *a, const uint8_t *b, size_t width)
{
	int order = memcmp(a, b, width);

	return order != 0 ? order : memcmp(b + width, a + width, width);
}

static int
compare_v4(const void *a, const void *b)
{
	return compare(a, b, NETWORK_V4_OCTETS);
}

static int
compare_v6(const void *a, const void *b)
{
	return compare(a, b, NETWORK_V6_OCTETS);
}

/* Two networks overlap only where one holds the other: it comes first, and is enough. */
static void
list_seal(struct list *l, int (*order)(const void *, const void *))
{
	size_t width = l->width, step = 2 * width, i, kept = 0;
	uint8_t *ranges;

	if (l->n == 0)
		return;
	qsort(l->ranges, l->n, step, order);
	for (i = 1; i < l->n; i++) {
		const uint8_t *range = l->ranges + i * step;

		if (memcmp(range, l->ranges + kept * step + width, width) > 0)
			memmove(l->ranges + ++kept * step, range, step);
	}
	l->n = kept + 1;
	if ((ranges = reallocarray(l->ranges, l->n, step)) == NULL)
		return;
	l->ranges = ranges;
	l->cap = l->n;
}

void
networks_seal(struct networks *n)
{
	list_seal(&n->v4, compare_v4);
	list_seal(&n->v6, compare_v6);
}

/* -- questions -- */

bool
networks_have(const struct networks *n, const struct addr *a)
{
	uint8_t octets[HOST_OCTETS_MAX];
	size_t width = host_octets(a, octets), low = 0, high, middle;
	const struct list *l = width == NETWORK_V4_OCTETS ? &n->v4 : &n->v6;

	if (width == 0)
		return false;
	/* The last range that begins at the address or before it. */
	for (high = l->n; low < high;) {
		middle = low + (high - low) / 2;
		if (memcmp(l->ranges + middle * 2 * width, octets, width) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && memcmp(octets, l->ranges + (low - 1) * 2 * width + width, width) <= 0;
}
