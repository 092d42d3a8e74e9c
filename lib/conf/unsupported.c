/* SPDX-License-Identifier: ISC */
/*
 * What the OpenSMTPD family's language has and this release does not do.
 *
 * Invariant: nothing that is listed here gets past the parser.  The grammar of
 * most rows is there already: to begin to support one, delete the row.
 */
#include "lib/conf/keyword.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/bug.h"

#define NEEDS_PROGRAMS "filters are rules, not programs"
#define NEEDS_MEMORY   "what waits is never held in memory"
#define NEEDS_SCOPE    "see 'max-conn-per-relay' and 'max-conn-per-source'"
#define NEEDS_SECURE   "to other servers they are the library's secure ones"

/* clang-format off */
static const struct {
	const char *what, *why;
} unsupported[] = {
    {"admd", NEEDS_PROGRAMS},
    {"mda", "there are no mail delivery commands"},
    {"proc", NEEDS_PROGRAMS},
    {"scheduler", "the schedule needs no limits"},

    {"bounce warn-interval list", "there is one warning"},
    {"filter proc", NEEDS_PROGRAMS},
    {"filter proc-exec", NEEDS_PROGRAMS},
    {"filter report", "nobody reads reports"},
    {"mta limit inet4", "see 'mta address-family'"},
    {"mta limit inet6", "see 'mta address-family'"},
    {"mta limit conn-delay-connector", NEEDS_SCOPE},
    {"mta limit max-conn-per-connector", NEEDS_SCOPE},
    {"mta limit max-failures-per-session", "any failure of a connection ends it"},
    {"mta limit reconn-delay-route", "see 'conn-delay-route'"},
    {"mta limit task-hiwat", NEEDS_MEMORY},
    {"mta limit task-lowat", NEEDS_MEMORY},
    {"mta limit task-release", NEEDS_MEMORY},
    {"mta max-deferred", NEEDS_MEMORY},
    {"pki dhe", "key exchange is by elliptic curves"},
    {"queue compression", "messages are stored as they came"},
    {"queue encryption", "messages are stored as they came"},
    {"table backend", "there are file, cdb, sqlite, postgres, dovecot and helper"},

    {"listen hostnames", "see 'hostname'"},
    {"listen masquerade", "what is submitted keeps its senders"},
    {"listen socket", "local programs submit to a loopback address"},

    {"action ciphers", NEEDS_SECURE},
    {"action filter", "what is sent is not filtered"},
    {"action junk", "messages are not sorted"},
    {"action mail-from", "the senders of what is relayed stay, but for srs"},
    {"action mbox", "local mail goes to a maildir"},
    {"action mda", "there are no mail delivery commands"},
    {"action pki", "other servers are shown no certificate"},
    {"action protocols", NEEDS_SECURE},
    {"action ttl", "see 'queue ttl'"},
    {"action wrapper", "there are no mail delivery commands"},
};
/* clang-format on */

const char *
keyword_unsupported(const char *what)
{
	size_t i;

	for (i = 0; i < NITEMS(unsupported); i++) {
		if (strcmp(unsupported[i].what, what) == 0)
			return unsupported[i].why;
	}
	return NULL;
}
