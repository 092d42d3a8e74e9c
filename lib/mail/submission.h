/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_SUBMISSION_H
#define LIB_MAIL_SUBMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/base/buf.h"

/*
 * What a submission server changes in a message (RFC 6409 8): Bcc fields go, a missing
 * Date or Message-ID is added.  Nothing here is for mail that is relayed.
 */

/*
 * Takes Bcc and Resent-Bcc fields (RFC 5322 3.6.3, 3.6.6), folded lines included, out of
 * a header that arrives in pieces of any size, in constant memory.  After the header (an
 * empty line, or a line that is no field) all passes through unchanged.
 */
#define BCC_HELD_MAX 24 /* octets it may hold back; a name followed by more spaces is no Bcc */
struct bcc_strip {
	bool found; /* there was one */
	/* the machine's own */
	uint8_t state, nheld;
	uint8_t held[BCC_HELD_MAX];
};

void bcc_strip_init(struct bcc_strip *s);
/* out has room for n + BCC_HELD_MAX and does not overlap in; *nout says how much was put there. */
void bcc_strip_feed(struct bcc_strip *s, const uint8_t *in, size_t n, uint8_t *out, size_t *nout);
/* At the end of the message: what is still held back; out has room for BCC_HELD_MAX. */
void bcc_strip_end(struct bcc_strip *s, uint8_t *out, size_t *nout);

/* "Date: ...\r\n" (RFC 5322 3.6.1).  -1: ENOBUFS, ENOMEM, EOVERFLOW. */
int submission_date(time_t when, struct buf *out) WARN_UNUSED;
/*
 * "Message-ID: <when.id@host>\r\n" (RFC 5322 3.6.4); id: letters and digits; host as it
 * stands, or "localhost" if it is no domain.  -1: ENOBUFS, ENOMEM.
 */
int
submission_message_id(time_t when, const char *id, const char *host, struct buf *out) WARN_UNUSED;

#endif
