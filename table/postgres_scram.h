/* SPDX-License-Identifier: ISC */
#ifndef TABLE_POSTGRES_SCRAM_H
#define TABLE_POSTGRES_SCRAM_H

#include <stdbool.h>

#include "lib/base/bug.h"

/*
 * A bound on what a server makes us reckon.
 *
 * In SCRAM (RFC 5802, section 3) the server says how many HMACs a password is put through;
 * libpq believes it up to 2^31, an hour of all that this process has to do, and
 * knows no way to be interrupted.
 */
#define PG_ITERATIONS_MAX 250000 /* a fifth of a second; PostgreSQL's own number is 4096 */

/* Once, before the sandbox.  -1: libpq does not count its HMACs here. */
int pg_scram_prepare(void) WARN_UNUSED;
/* Before each step of a connect: what libpq may reckon until the next. */
void pg_scram_begin(void);
/* The step was ended because that was not enough. */
bool pg_scram_was_too_much(void);

/* libcrypto's, as libpq calls it: in between.  Types as there. */
int HMAC_Init_ex(void *ctx, const void *key, int len, const void *md, void *engine);

#endif
