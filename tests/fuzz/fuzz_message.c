/* SPDX-License-Identifier: ISC */
/*
 * Any octets to the decoder.  What it accepts must be encoded to the very
 * same octets again: nothing was skipped, invented or read twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same(const struct message_header *h, const union message *m, const uint8_t *frame)
{
	struct buf again;

	buf_init(&again, MSG_FRAME_MAX);
	if (message_encode(h->type, m, &again) == -1 || again.len != h->length ||
	    memcmp(buf_head(&again), frame, h->length) != 0)
		abort();
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_header h;
	union message m;
	uint8_t *frame;

	if (message_header(data, size, &h) != 0)
		return 0;
	/* Exactly the frame, so that the sanitizer sees a step beyond it. */
	if ((frame = malloc(h.length)) == NULL)
		return 0;
	memcpy(frame, data, h.length);
	if (message_decode(&h, frame, &m) == 0)
		check_same(&h, &m, frame);
	free(frame);
	return 0;
}
