/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_LIMIT_WORDS_H
#define LIB_CONF_LIMIT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/* The words of "mta limit", a row each: parser, dump and the test of the manual page are made of it. */
enum limit_kind { LIMIT_COUNT, LIMIT_DURATION };

struct limit_word {
	const char *word;
	size_t offset; /* of an int64_t in struct conf_limit; a duration is there in milliseconds */
	enum limit_kind kind;
	uint64_t min, max; /* of durations in seconds */
};

extern const struct limit_word limit_words[];
extern const size_t limit_nwords;

/* The statement, with its newline. */
int limit_dump(const struct conf_limit *l, struct buf *out) WARN_UNUSED;

#endif
