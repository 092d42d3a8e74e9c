/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_INQUIRY_H
#define LOOKUP_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/service.h"
#include "lib/mail/address.h"
#include "lib/net/addr.h"
#include "lookup/answer.h"

struct tables;
struct memo;

/*
 * What one decision asks of tables and other sources.
 *
 * Rules, filters, senders and recipients are pure functions of the configuration and of
 * what an inquiry answers.  A table in memory answers at once.  Another may answer
 * TABLE_PENDING: the function notes no more than that, goes on as far as it can (so that
 * what is independent is asked at the same time), and returns "pending".  Its owner
 * waits for resume(), and calls the function again from its start: what was
 * answered meanwhile is remembered here, each question is asked once.
 *
 * So live traffic, smtpctl explain and the unit tests run the same code.
 */
struct inquiry;
#define INQUIRY_VALUES_MAX (16U << 20) /* octets that are remembered of one; more is TROUBLE */
/* Inquiries whose answers are there: their owners are called at the end of the turn. */
struct inquiry_queue;

struct inquiry_sources {	     /* nothing in it is owned; NULL: the answer is TROUBLE */
	struct inquiry_queue *queue; /* NULL: nobody waits, what is not there is TROUBLE */
	struct tables *tables;
	struct memo *accounts; /* key: a name; YES or NO */
	struct memo *forwards; /* key: "user" or "user\nuserbase"; value: see forward.h */
	/* key: "+address\ndomain" to rewrite, "-address" to reverse; value: an address */
	struct memo *srs;
	int64_t (*now_ms)(void *arg);
	void *now_arg;
};

/* What was asked and answered, for smtpctl explain: told at each question, repeated ones too. */
struct inquiry_event {
	const char *source;	    /* a table's name, "accounts", "forward" or "srs" */
	enum table_service service; /* of a table, else SERVICE__MAX */
	const char *key;
	enum table_answer answer;
	const char *value; /* with YES, NULL where presence is all */
};
typedef void (*inquiry_observer)(void *arg, const struct inquiry_event *e);

struct inquiry_queue *inquiry_queue_create(void) WARN_UNUSED; /* NULL: ENOMEM */
/* NULL is fine.  There must be no inquiries any more. */
void inquiry_queue_free(struct inquiry_queue *queue);
/* Resumes those that are ready now; true: others have become so meanwhile, call it again. */
bool inquiry_queue_run(struct inquiry_queue *queue);

/*
 * NULL: ENOMEM.  resume is called by inquiry_queue_run() when an answer has come and
 * nothing is pending any more; it may free the inquiry.  NULL: never.
 */
struct inquiry *inquiry_create(
    const struct inquiry_sources *sources, void (*resume)(void *arg), void *arg) WARN_UNUSED;
/* Whom resume is called for, where that is known only when something is pending. */
void inquiry_set_owner(struct inquiry *q, void *arg);
void inquiry_free(struct inquiry *q); /* NULL is fine; what is under way is forgotten */
void inquiry_observe(struct inquiry *q, inquiry_observer observe, void *arg);
bool inquiry_is_pending(const struct inquiry *q);
/* What is not answered yet will not be: TROUBLE from now on.  For an owner whose time is over. */
void inquiry_give_up(struct inquiry *q);

/* Calls resume in the next turn: the owner has done enough for this one. */
void inquiry_yield(struct inquiry *q);
/* What was asked last of those that answered TROUBLE: "table <pg>", "accounts"; "" when none did. */
const char *inquiry_trouble(const struct inquiry *q);

/* The value under a key; a key without a value is not found.  *value is good until the next question. */
enum table_answer inquiry_value(struct inquiry *q, const char *table, enum table_service service,
    const char *key, const char **value) WARN_UNUSED;

/* Is the subject in a table, taken as words, domains, networks, mailboxes (see table.h)? */
enum table_answer
inquiry_has_word(struct inquiry *q, const char *table, const char *word) WARN_UNUSED;
enum table_answer
inquiry_has_domain(struct inquiry *q, const char *table, const char *domain) WARN_UNUSED;
enum table_answer
inquiry_has_network(struct inquiry *q, const char *table, const struct addr *a) WARN_UNUSED;
enum table_answer
inquiry_has_mailbox(struct inquiry *q, const char *table, const struct address *a) WARN_UNUSED;
enum table_answer
inquiry_has_regex(struct inquiry *q, const char *table, const char *text) WARN_UNUSED;

/*
 * Whether a table is a list, whose entries can be told: one in memory, none of whose keys has a
 * value.  An empty one is.
 */
enum table_answer inquiry_is_list(struct inquiry *q, const char *table) WARN_UNUSED;
/* Its entries in order, good for this turn; NULL: no more. */
const char *inquiry_list_item(struct inquiry *q, const char *table, size_t i);

/* Whether this host has an account. */
enum table_answer inquiry_account(struct inquiry *q, const char *name) WARN_UNUSED;
/* The .forward file of an account, whose home may stand in a userbase ("": the system's); forward.h reads the value. */
enum table_answer inquiry_forward(
    struct inquiry *q, const char *user, const char *userbase, const char **value) WARN_UNUSED;
/* The address that an SRS address of ours stands for; NO: it is none, forged or too old. */
enum table_answer
inquiry_srs_reverse(struct inquiry *q, const char *address, const char **value) WARN_UNUSED;
/* The members that ":include:path" in a table stands for, as the text of that file. */
enum table_answer inquiry_include(
    struct inquiry *q, const char *table, const char *path, const char **text) WARN_UNUSED;

#endif
