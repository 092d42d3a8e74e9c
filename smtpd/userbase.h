/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_USERBASE_H
#define SMTPD_USERBASE_H

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * Accounts of a userbase: "name" = "uid:gid:home", the family's syntax.  A file is
 * read anew when it changed; between that a question costs one stat(2).
 */
struct account;
struct conf_table;
struct userbases;

struct userbases *userbases_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void userbases_free(struct userbases *u);	      /* NULL is fine */
/* Of a list, map or file.  OK; GONE: no such account; RETRY: it can't be said. */
enum ipc_outcome userbase_find(
    struct userbases *u, const struct conf_table *t, const char *name, struct account *out);
int userbase_parse(const char *value, struct account *out) WARN_UNUSED; /* -1: it is no account */

#endif
