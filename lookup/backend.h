/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_BACKEND_H
#define LOOKUP_BACKEND_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/service.h"
#include "lookup/answer.h"
#include "lookup/memo.h"

struct service;

/*
 * What each kind of table must be able to do, and all that it must: one key, as it
 * stands, for one service.  Which keys are tried for a subject, and in which
 * order, is table_keys.c's business and the same for every kind, but for tables in
 * memory, which also know patterns (table_memory.h) and are no back ends.
 *
 * A new kind is a file with such a row, and a line in tables.c.
 */
struct backend_env {			/* lives as long as the program */
	struct service *const *service; /* set once it runs */
};

struct backend_ops {
	/* An empty table: until what it needs has arrived, it answers TROUBLE.  NULL: ENOMEM. */
	void *(*create)(const struct backend_env *env, const char *name);
	void (*free)(void *table); /* who waits is told TROUBLE, from within */
	/* The configuration: after create, at each reload; it lives until the next.  NULL: not wanted. */
	void (*configure)(void *table, const struct conf *conf);
	/*
	 * A file of its, new or again.  part: "" for "NAME", "conf" for "NAME#conf".  Takes fd
	 * over, whatever comes of it.  -1 with errno, logged by the caller: what was there
	 * stays.  NULL: it has no files.
	 */
	int (*load)(void *table, const char *part, int fd);
	/*
	 * PENDING: w waits (w is never NULL), its done is called with the answer, never from
	 * within.  YES: *value is good until the next call, "" where there is only presence.
	 * key is in lower case (ASCII), not empty and at most TABLE_KEY_MAX octets.
	 */
	enum table_answer (*find)(void *table, enum table_service service, const char *key,
	    struct memo_waiter *w, const char **value);
	/* What is remembered is asked anew ("smtpctl update table").  NULL: nothing is. */
	void (*drop)(void *table);
	void (*tick)(void *table, int64_t now_ms); /* once a second; NULL: nothing to do */
	bool knows_prefixes; /* no networks: each prefix of an address is a key of its own */
	bool is_dear;	     /* an answer is worth remembering until the decision is made */
};

#define TABLE_KEY_MAX 1024 /* octets */
/* Octets of one value; of several rows, all of them with ", " between. */
#define TABLE_VALUE_MAX (1U << 20)

extern const struct backend_ops table_cdb_ops;	  /* table_cdb.c */
extern const struct backend_ops table_sqlite_ops; /* table_sqlite.c */
extern const struct backend_ops table_remote_ops; /* table_remote.c */

#endif
