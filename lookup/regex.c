/* SPDX-License-Identifier: ISC */
/*
 * Regular expressions in use.
 *
 * Invariant: a match costs time in proportion to the states of the expression and to the
 * subject, both bounded; and what the library remembers between two compilations is at most WEAR_MAX octets.  Nothing is fatal.
 */
#include "lookup/regex.h"

#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * glibc builds the deterministic automaton while it matches: an octet of the subject
 * may make a new state, which takes a table of 256 pointers and its set of nodes, and is
 * never given back before regfree().
 */
#define WEAR_OCTET 2560 /* octets of memory that one of the subject may cost, */
#define WEAR_STATE 32	/* and for each state of the expression */
#define WEAR_MAX   (8U << 20)

struct regex {
	const char *text;
	regex_t compiled;
	bool ready; /* compiled is */
	size_t states, worn;
};

/* NULL, or why not. */
static const char *
compile(struct regex *r)
{
	const char *why = regex_compile(r->text, &r->compiled);

	r->ready = why == NULL;
	r->worn = 0;
	return why;
}

static void
release(struct regex *r)
{
	if (r->ready)
		regfree(&r->compiled);
	r->ready = false;
}

struct regex *
regex_create(const char *text, const char **why)
{
	struct regex *r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		*why = "out of memory";
		return NULL;
	}
	r->text = text;
	if ((*why = compile(r)) != NULL) {
		free(r);
		return NULL;
	}
	r->states = regex_states(text, why);
	return r;
}

size_t
regex_size(const struct regex *r)
{
	return r->states;
}

void
regex_free(struct regex *r)
{
	if (r == NULL)
		return;
	release(r);
	free(r);
}

enum table_answer
regex_matches(struct regex *r, const char *subject)
{
	size_t len = strlen(subject);

	/* glibc is not of one mind about '^' behind the end of a line. */
	if (len > REGEX_SUBJECT_MAX || memchr(subject, '\n', len) != NULL)
		return TABLE_TROUBLE;
	if (r->worn > WEAR_MAX)
		release(r);
	if (!r->ready && compile(r) != NULL)
		return TABLE_TROUBLE;
	r->worn += (len + 1) * (WEAR_OCTET + WEAR_STATE * r->states);
	/* It begins with anything at all (lib/conf/regex_text.c): from the start is anywhere. */
	switch (re_match(&r->compiled, subject, (regoff_t)len, 0, NULL)) {
	case -1:
		return TABLE_NO;
	case -2:
		return TABLE_TROUBLE;
	default:
		return TABLE_YES;
	}
}
