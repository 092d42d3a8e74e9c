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

#define NEEDS_TLS      "connections to other servers are opportunistic at best"
#define NEEDS_PROGRAMS "filters are rules, not programs"
#define NEEDS_ROUTES   "a relay goes to one host or to the domain's MX"

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
    {"mta limit", "see 'mta max-connections'"},
    {"mta max-deferred", "deferred mail is never held in memory"},
    {"pki dhe", "key exchange is by elliptic curves"},
    {"queue compression", "messages are stored as they came"},
    {"queue encryption", "messages are stored as they came"},
    {"table backend", "there are file, cdb, sqlite, postgres, dovecot and helper"},

    {"listen hostnames", "see 'hostname'"},
    {"listen masquerade", "what is submitted keeps its senders"},
    {"listen socket", "local programs submit to a loopback address"},

    {"action auth", "there is nowhere safe to keep a password"},
    {"action backup", NEEDS_ROUTES},
    {"action ca", NEEDS_TLS},
    {"action ciphers", NEEDS_TLS},
    {"action domain", NEEDS_ROUTES},
    {"action filter", "what is sent is not filtered"},
    {"action helo-src", NEEDS_ROUTES},
    {"action host list", NEEDS_ROUTES},
    {"action host lmtp", "there is no LMTP"},
    {"action host smtp+tls", NEEDS_TLS},
    {"action host smtps", NEEDS_TLS},
    {"action junk", "messages are not sorted"},
    {"action lmtp", "there is no LMTP"},
    {"action mail-from", "the senders of what is relayed stay, but for srs"},
    {"action mbox", "local mail goes to a maildir"},
    {"action mda", "there are no mail delivery commands"},
    {"action pki", NEEDS_TLS},
    {"action protocols", NEEDS_TLS},
    {"action src", "the kernel chooses the address"},
    {"action tls", NEEDS_TLS},
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
