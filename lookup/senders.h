/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_SENDERS_H
#define LOOKUP_SENDERS_H

#include "lookup/filter.h"
#include "lookup/rules.h"

/*
 * Which addresses a login may send as.  Pure.
 *
 * With a table, those that the login's value lists, by commas: "local@domain"
 * or "@domain", each with the patterns of tables.  A local part means what it
 * says to the letter (RFC 5321 2.4), and a tag is a part of it; a domain has no case.
 * Without one, the login itself if it is an address, else the login at
 * a name of this host, both whatever their case.  The null path is everybody's.
 */
enum table_answer senders_owns(
    const struct policy *p, const char *senders, const char *login, const char *sender) WARN_UNUSED;

/* The sender that is judged: what the client said, or what the filters made of it. */
const char *senders_said(const struct filter_question *q, const struct filter_verdict *v);
/*
 * The last word on a sender that the filters let pass, as they left it: one
 * that is not the login's own becomes a refusal.  senders: a table, "" for none.
 * PENDING: ask again when the inquiry is resumed, with the verdict as it was.
 */
enum table_answer senders_judge(const struct policy *p, const char *senders,
    const struct filter_question *q, struct filter_verdict *v) WARN_UNUSED;

#endif
