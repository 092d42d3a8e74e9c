/* SPDX-License-Identifier: ISC */
/*
 * Which TLS a host is to be talked to with: what each of those who may demand
 * something demands, and the strictest of it.
 *
 * Invariants: nobody's demand is ever lowered by another's; with a demand there is
 * no plain text, also not after a handshake that failed; a credential is
 * shown only to whom verified TLS leads.
 */
#include "delivery/policy.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"

static const char *const level_names[POLICY__MAX] = {
    [POLICY_NEVER] = "never",
    [POLICY_OPPORTUNIST] = "opportunistic",
    [POLICY_ENCRYPT] = "encrypt",
    [POLICY_VERIFY] = "verify",
    [POLICY_DANE] = "dane",
    [POLICY_PINNED] = "pinned",
};

static const char *const tls_names[IPC_TLS_LEVEL__MAX] = {
    [IPC_TLS_PLAIN] = "plain",
    [IPC_TLS_ENCRYPTED] = "encrypted",
    [IPC_TLS_VERIFIED] = "verified",
    [IPC_TLS_DANE] = "dane",
};

/* What a connection at a level is protected by at least. */
static const enum ipc_tls_level floors[POLICY__MAX] = {
    [POLICY_NEVER] = IPC_TLS_PLAIN,
    [POLICY_OPPORTUNIST] = IPC_TLS_PLAIN,
    [POLICY_ENCRYPT] = IPC_TLS_ENCRYPTED,
    [POLICY_VERIFY] = IPC_TLS_VERIFIED,
    [POLICY_DANE] = IPC_TLS_DANE,
    [POLICY_PINNED] = IPC_TLS_VERIFIED,
};

const char *
policy_level_name(enum policy_level level)
{
	return level_names[level];
}

const char *
policy_tls_name(enum ipc_tls_level level)
{
	return tls_names[level];
}

/* -- demands -- */

static void
demand(struct policy *p, enum policy_level level, const char *why)
{
	if (level <= p->level)
		return;
	p->level = level;
	p->why = why;
}

static size_t
take_usable(struct policy *p, const struct policy_facts *f)
{
	size_t i, n = 0;

	for (i = 0; i < f->nrecords && n < POLICY_RECORDS_MAX; i++)
		if (tls_record_is_usable(&f->records[i]))
			p->usable[n++] = f->records[i];
	return n;
}

/* Is it a server of whom mail is for?  What the configuration names needs no other proof. */
static bool
is_proven(const struct policy_facts *f)
{
	return f->domain[0] == '\0' || f->host_secure;
}

/*
 * Records of a host that nothing proves to be the domain's prove nothing about
 * the domain (RFC 7672 2.2.1); those of a host that was configured do (2.2.2).
 * With records that are all unusable TLS is a must, with whoever is there (2.2).
 */
static void
demand_dane(struct policy *p, const struct policy_facts *f)
{
	if (f->nrecords == 0 || !is_proven(f))
		return;
	p->want.nrecords = take_usable(p, f);
	if (p->want.nrecords > 0)
		demand(p, POLICY_DANE, "dane");
	else
		demand(p, POLICY_ENCRYPT, "dane-unusable");
}

static void
demand_all(struct policy *p, const struct policy_facts *f)
{
	if (f->url == RELAY_TLS_MUST || f->url == RELAY_TLS_FIRST)
		demand(p, POLICY_ENCRYPT, "url");
	if (f->required)
		demand(p, f->no_verify ? POLICY_ENCRYPT : POLICY_VERIFY, "tls");
	if (f->credential)
		demand(p, POLICY_VERIFY, "auth");
	if (f->requires_tls)
		demand(p, POLICY_VERIFY, "requiretls");
	if (f->npins > 0)
		demand(p, POLICY_PINNED, "fingerprint");
	if (f->url == RELAY_TLS_NEVER)
		return;
	if (f->enforce && f->best > IPC_TLS_PLAIN)
		demand(p, POLICY_ENCRYPT, "remembered");
	demand_dane(p, f);
}

static int
refuse(struct verdict *why, enum cause cause, const struct policy_facts *f)
{
	verdict_of(why, cause, f->host);
	return -1;
}

static int
check_possible(const struct policy *p, const struct policy_facts *f, struct verdict *why)
{
	if (f->requires_tls && !is_proven(f))
		return refuse(why, CAUSE_UNPROVEN_ROUTE, f); /* RFC 8689 4.2.1 */
	if (p->level == POLICY_PINNED && !tls_client_has_dane())
		return refuse(why, CAUSE_DANE_IMPOSSIBLE, f);
	if (f->url != RELAY_TLS_NEVER || p->level == POLICY_NEVER)
		return 0;
	if (f->requires_tls)
		return refuse(why, CAUSE_NO_SAFE_TLS, f);
	return refuse(why, f->credential ? CAUSE_AUTH_UNSAFE : CAUSE_TLS_NOT_OFFERED, f);
}

/* -- what follows from the level -- */

static void
want_name(struct policy *p, const char *name)
{
	size_t i;

	if (name == NULL || name[0] == '\0')
		return;
	for (i = 0; i < p->want.nnames; i++)
		if (str_equal_nocase(p->names[i], name))
			return;
	p->names[p->want.nnames++] = name;
}

/*
 * The name that is indicated is that of the records (RFC 7672 8.1), which is
 * also what a certificate by an authority of theirs is to be for, or the
 * host's own name, or the domain's (RFC 7672 3.2.2).
 */
static void
want_records(struct policy *p, const struct policy_facts *f)
{
	p->want.check = TLS_CHECK_RECORDS;
	p->want.records = p->usable;
	if (f->base != NULL && f->base[0] != '\0')
		p->want.host = f->base;
	want_name(p, p->want.host);
	want_name(p, f->host);
	want_name(p, f->domain);
}

static void
want_pins(struct policy *p, const struct policy_facts *f)
{
	p->want.check = TLS_CHECK_RECORDS;
	p->want.records = f->pins;
	p->want.nrecords = f->npins;
	want_name(p, f->host);
}

static void
want_host(struct policy *p, const struct policy_facts *f)
{
	p->want.check = p->level == POLICY_VERIFY ? TLS_CHECK_NAMES : TLS_CHECK_LATER;
	p->want.records = NULL;
	p->want.nrecords = 0;
	want_name(p, f->host);
}

static enum relay_tls
tls_of(const struct policy *p, enum relay_tls url)
{
	if (p->level == POLICY_NEVER || url == RELAY_TLS_FIRST)
		return url;
	return p->level == POLICY_OPPORTUNIST ? RELAY_TLS_MAY : RELAY_TLS_MUST;
}

/* Pinned is what the configuration says of a server, and it knows better than memory. */
static enum ipc_tls_level
floor_of(const struct policy *p, const struct policy_facts *f)
{
	enum ipc_tls_level floor = floors[p->level];

	if (!f->enforce || f->best <= floor || p->level == POLICY_NEVER ||
	    p->level == POLICY_PINNED)
		return floor;
	return f->best;
}

int
policy_make(struct policy *p, const struct policy_facts *f, struct verdict *why)
{
	memset(p, 0, sizeof(*p));
	p->level = f->url == RELAY_TLS_NEVER ? POLICY_NEVER : POLICY_OPPORTUNIST;
	p->why = f->url == RELAY_TLS_NEVER ? "url" : "default";
	demand_all(p, f);
	if (check_possible(p, f, why) == -1)
		return -1;
	p->want.host = f->host;
	p->want.names = p->names;
	p->want.ca = f->ca;
	if (p->level == POLICY_DANE)
		want_records(p, f);
	else if (p->level == POLICY_PINNED)
		want_pins(p, f);
	else
		want_host(p, f);
	p->tls = tls_of(p, f->url);
	p->floor = floor_of(p, f);
	p->plain_after_failure = p->level == POLICY_OPPORTUNIST;
	return 0;
}

/* -- what came of it -- */

static enum ipc_tls_level
level_of(const struct policy *p, const struct tls_judgement *j)
{
	if (j == NULL)
		return IPC_TLS_PLAIN;
	if (j->by_records)
		return p->level == POLICY_DANE ? IPC_TLS_DANE : IPC_TLS_VERIFIED;
	/* Where records or fingerprints count, an authority's word does not stand for them. */
	return j->by_names && p->want.check != TLS_CHECK_RECORDS ? IPC_TLS_VERIFIED
								 : IPC_TLS_ENCRYPTED;
}

bool
policy_accepts(const struct policy *p, const struct tls_judgement *j, enum ipc_tls_level *level,
    struct verdict *why)
{
	enum cause cause = CAUSE_TLS_UNVERIFIED;

	*level = level_of(p, j);
	if (*level >= p->floor)
		return true;
	if (*level >= floors[p->level])
		cause = CAUSE_TLS_WEAKER;
	else if (j == NULL)
		cause = CAUSE_TLS_NOT_OFFERED;
	else if (p->level == POLICY_DANE)
		cause = CAUSE_DANE;
	verdict_of(why, cause, j != NULL ? j->why : "");
	return false;
}

/* -- fingerprints -- */

static const struct {
	const char *word;
	uint8_t selector;
} pin_kinds[] = {
    {"SHA256:", 0}, /* of the whole certificate */
    {"SPKI:", 1},   /* of its public key */
};

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, char_lower((unsigned char)c), sizeof(digits) - 1);

	return at != NULL ? (int)(at - digits) : -1;
}

/* Where the digits end; NULL: these are not 32 octets. */
static const char *
take_digest(const char *text, uint8_t digest[32])
{
	int high, low;
	size_t i;

	for (i = 0; i < 32; i++, text += 2) {
		if ((high = hex_digit(text[0])) == -1 || (low = hex_digit(text[1])) == -1)
			return NULL;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return text;
}

static const char *
take_pin(const char *text, struct tls_record *pin, uint8_t digest[32])
{
	size_t i;

	for (i = 0; i < NITEMS(pin_kinds); i++) {
		if (!str_starts_nocase(text, pin_kinds[i].word))
			continue;
		/* RFC 6698 2.1: as the domain's own word (3), a SHA-256 digest (1). */
		*pin = (struct tls_record){.usage = 3,
		    .selector = pin_kinds[i].selector,
		    .matching = 1,
		    .data = digest,
		    .size = 32};
		return take_digest(text + strlen(pin_kinds[i].word), digest);
	}
	return NULL;
}

int
policy_pins(const char *text, struct tls_record pins[POLICY_PINS_MAX],
    uint8_t room[POLICY_PINS_MAX][32], size_t *n)
{
	for (*n = 0; *n < POLICY_PINS_MAX; text++) {
		if ((text = take_pin(text, &pins[*n], room[*n])) == NULL)
			break;
		++*n;
		if (*text == '\0')
			return 0;
		if (*text != ',')
			break;
	}
	*n = 0;
	errno = EINVAL;
	return -1;
}
