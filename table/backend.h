/* SPDX-License-Identifier: ISC */
#ifndef TABLE_BACKEND_H
#define TABLE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/service.h"
#include "lib/ipc/message.h"

struct event_base;

/*
 * What makes a program of this folder the one that knows tables of a kind.
 * The rest, questions and their deadlines, configuration and life, is
 * dispatch.c's and question.c's: a new kind is one more file with a
 * `the_backend`, a row in lib/conf/table_program.h and a line in the Makefile.
 * See postern-tables(7).
 */
struct backend_table; /* a table as the back end has it; owned by the frame */
struct question;      /* that a table is asked; owned by the frame */

#define BACKEND_WHY_MAX 200

struct backend_setup { /* borrowed for the call, but for base */
	const char *name;
	const char *text; /* of its small file */
	size_t len;
	struct event_base *base;
	int64_t now_ms;
};

struct table_backend {
	enum conf_table_kind kind;
	/* Once, with all rights: what libraries do only once, and look for files meanwhile. */
	int (*prepare)(void);
	/* NULL, and why.  It connects when it likes; that a server is down is not its end. */
	struct backend_table *(*open)(const struct backend_setup *setup, char why[BACKEND_WHY_MAX]);
	void (*close)(struct backend_table *t); /* it has been forgotten all questions before */
	/* Ends in question_end(), from within or later, or in forget(). */
	void (*ask)(struct backend_table *t, struct question *q, int64_t now_ms);
	void (*forget)(
	    struct backend_table *t, struct question *q);      /* it is answered, or too late */
	void (*tick)(struct backend_table *t, int64_t now_ms); /* once a second */
};

/* The one that this program is made with. */
extern const struct table_backend the_backend;

/* -- question.c, as a back end sees it -- */

enum table_service question_service(const struct question *q);
const char *question_key(const struct question *q);
void
question_set_note(struct question *q, void *note); /* whatever the back end wants to find again */
void *question_note(const struct question *q);
/*
 * One row.  -1: it is not one that can be passed on (NUL, control characters, more than
 * the bounds allow), and the question was ended by RETRY: q is gone.
 */
int question_row(struct question *q, const char *value, size_t len) WARN_UNUSED;
/* OK after rows (GONE without any is made of it), or RETRY and why.  q is gone. */
void question_end(struct question *q, enum ipc_outcome outcome, const char *why);

#endif
