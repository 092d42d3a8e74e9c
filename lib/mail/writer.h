/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_WRITER_H
#define LIB_MAIL_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/*
 * Text made safe and laid out in lines, for messages that we write ourselves.
 * A writer remembers its first failure and does nothing after it, so that a
 * page of puts needs one check at its end.
 */
struct writer {
	struct buf *out;
	int error; /* errno of the first failure, 0 */
};

void writer_put(struct writer *w, const char *s);
/*
 * s (cleaned) where column characters are on the line already, folded at spaces
 * to 76 columns, each further line beginning with margin, CRLF at the end of
 * all.  A single word is cut only past 512 octets.
 */
void writer_wrap(struct writer *w, size_t column, const char *margin, const char *s);

bool text_is_8bit(const char *s);
/*
 * src as printable ASCII: a control octet becomes a space, a UTF-8 character
 * \x{...} (RFC 6533 3), any other octet '?'; spaces are single, with none at
 * either end; cut to fit.  src may be NULL.  Returns dst.
 */
char *text_clean(char *dst, size_t size, const char *src);
/* The same for what is one word (a host, a type, a boundary): other octets are dropped. */
char *text_clean_word(char *dst, size_t size, const char *src);

#endif
