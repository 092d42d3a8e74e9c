/* SPDX-License-Identifier: ISC */
/*
 * The family's reserved words.
 *
 * Invariant: the table is sorted (a test checks it), for bsearch().
 */
#include "lib/conf/keyword.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"

/* clang-format off */
static const char *const reserved[] = {
    "action", "admd", "alias", "any", "auth", "auth-optional",
    "backup", "bounce", "bypass",
    "ca", "cert", "chain", "chroot", "ciphers", "commit", "compression", "connect",
    "data", "data-line", "dhe", "disconnect", "domain",
    "ehlo", "encryption", "expand-only",
    "fcrdns", "filter", "for", "forward-only", "from",
    "group",
    "helo", "helo-src", "host", "hostname", "hostnames",
    "include", "inet4", "inet6",
    "junk",
    "key",
    "limit", "listen", "lmtp", "local",
    "mail-from", "maildir", "mask-src", "masquerade", "match", "max-deferred",
    "max-message-size", "mbox", "mda", "mta", "mx",
    "no-dsn", "no-verify", "noop",
    "on",
    "phase", "pki", "port", "proc", "proc-exec", "protocols", "proxy-v2",
    "queue", "quit",
    "rcpt-to", "rdns", "received-auth", "recipient", "regex", "reject", "relay", "report",
    "rewrite", "rset",
    "scheduler", "senders", "smtp", "smtp-in", "smtp-out", "smtps", "socket", "src", "srs",
    "sub-addr-delim",
    "table", "tag", "tagged", "tls", "tls-require", "ttl",
    "user", "userbase",
    "verify", "virtual",
    "warn-interval", "wrapper",
};
/* clang-format on */

static int
compare_word(const void *word, const void *row)
{
	const char *const *w = row;

	return strcmp(word, *w);
}

bool
keyword_is_reserved(const char *word)
{
	return bsearch(word, reserved, NITEMS(reserved), sizeof(reserved[0]), compare_word) != NULL;
}
