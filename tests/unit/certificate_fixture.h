/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_CERTIFICATE_FIXTURE_H
#define TESTS_UNIT_CERTIFICATE_FIXTURE_H

/* What vault/certificate.c says of files, as one line to compare with. */
#include <stdbool.h>
#include <time.h>

#include "tests/unit/pki_fixture.h"
#include "vault/certificate.h"

/* "error: ...; warning: ...", in order. */
static inline const char *
told(const struct certificate *c)
{
	static char text[8192];
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	size_t n = certificate_problems(c, (int64_t)time(NULL), problems), i, at = 0;

	text[0] = '\0';
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s: %s", i == 0 ? "" : "; ",
		    problems[i].is_error ? "error" : "warning", problems[i].text);
	return text;
}

static inline struct span
span_of(const struct buf *b)
{
	return (struct span){buf_head(b), b->len};
}

static inline struct span
span_of_text(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static inline void
expect(const struct certificate_files *f, const char *problems, bool has_key)
{
	struct certificate c;

	certificate_open(&c, f);
	assert_string_equal(told(&c), problems);
	assert_int_equal(c.key != NULL, has_key);
	certificate_close(&c);
}

#endif
