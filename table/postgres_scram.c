/* SPDX-License-Identifier: ISC */
/*
 * Between libpq and the HMAC of libcrypto, to count.
 *
 * A symbol of the program comes before those of its libraries, so that libpq finds this
 * one.  libpq takes its failure for what it is, and ends the connection.
 *
 * Invariant: no step of a connect reckons more than PG_ITERATIONS_MAX of them.  Nothing is
 * fatal, but that libpq should not come by here: then the program does not start.
 */
#include "table/postgres_scram.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#define NAME  "HMAC_Init_ex"
#define OTHER 16 /* HMACs that a step needs besides */

typedef int (*hmac_init)(void *ctx, const void *key, int len, const void *md, void *engine);

static hmac_init real;
static unsigned int left = UINT_MAX;

/* A symbol as the function that it is: ISO C has no conversion between the two. */
static hmac_init
find(void *where)
{
	void *symbol = dlsym(where, NAME);
	hmac_init f;

	_Static_assert(sizeof(f) == sizeof(symbol), "POSIX, dlsym()");
	memcpy(&f, &symbol, sizeof(f));
	return f;
}

int
pg_scram_prepare(void)
{
	real = find(RTLD_NEXT);
	return real != NULL && find(RTLD_DEFAULT) == HMAC_Init_ex ? 0 : -1;
}

void
pg_scram_begin(void)
{
	left = PG_ITERATIONS_MAX + OTHER;
}

bool
pg_scram_was_too_much(void)
{
	return left == 0;
}

int
HMAC_Init_ex(void *ctx, const void *key, int len, const void *md, void *engine)
{
	if (left == 0 || real == NULL)
		return 0;
	left--;
	return real(ctx, key, len, md, engine);
}
