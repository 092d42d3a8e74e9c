/* SPDX-License-Identifier: ISC */
/* The header scanner: the same results whole and octet by octet. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_scan whole, pieces;
	size_t i;

	header_scan_init(&whole, "a@b");
	header_scan_init(&pieces, "a@b");
	header_scan_feed(&whole, data, size);
	header_scan_end(&whole);
	for (i = 0; i < size; i++)
		header_scan_feed(&pieces, data + i, 1);
	header_scan_end(&pieces);
	if (!whole.done || whole.size > size || memcmp(&whole, &pieces, sizeof(whole)) != 0)
		abort();
	/* Every Received it counts has at least its name and a colon. */
	if (whole.received > size / 9)
		abort();
	return 0;
}
