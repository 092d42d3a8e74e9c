/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_MAILBOX_H
#define LIB_CONF_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/pattern.h"

/*
 * A maildir action's pattern in two: the directory that the parent opens, and
 * what lies below it, which an unprivileged program expands.  No value that
 * a sender had a say in can be in the first.
 *
 *   NULL                                "~"          "Maildir"
 *   ~/mail, %{user.directory}/mail      "~"          "mail"
 *   mail/%{user.username}               "~"          "mail/%{user.username}"
 *   /var/mail/%{dest.domain}/x          "/var/mail"  "%{dest.domain}/x"
 *   /var/mail/shared                    "/var/mail"  "shared"
 *
 * "~" is the account's home directory.  -1: EINVAL (an empty, "." or ".."
 * component, or the home directory further down), ENAMETOOLONG.
 */
int mailbox_split(
    const char *pattern, char *base, size_t base_size, char *rest, size_t rest_size) WARN_UNUSED;

/*
 * The destination of mail for a mailbox is one of these and the account.
 * Mailboxes that are found by the address are so by its canonical form, and
 * the second tells that its tag is a part of that.
 */
#define MAILBOX_DEST	    "local:"
#define MAILBOX_DEST_TAGGED "local+tag:"

/*
 * Is it a path below a directory: components that are neither empty, "." nor
 * "..", no '/' at either end?
 */
bool mailbox_path_valid(const char *path);

/*
 * What lies below the base for one recipient: the one place where a path is made of what
 * strangers say.  -1: EINVAL (these values make none), ENAMETOOLONG.
 */
int mailbox_path(
    const char *pattern, const struct pattern_values *v, char *dst, size_t size) WARN_UNUSED;

#endif
