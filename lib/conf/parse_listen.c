/* SPDX-License-Identifier: ISC */
/*
 * "listen on": a listener and its options.
 *
 * Invariant: a listener that takes passwords has TLS, or can be reached from
 * this host alone, so that none ever travels in the clear.  What comes in by port 25 is relayed as it came, and
 * is SMTP.
 */
#include "lib/conf/option.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/conf/check.h"

#define PORT_SMTP  25
#define PORT_SMTPS 465

#define ON_ADDRESS 1U
#define ON_SOCKET  2U
#define ON_PATH	   4U
#define ON_ALL	   (ON_ADDRESS | ON_SOCKET | ON_PATH)

#define S	   CONF_FOR_SESSION
#define L	   CONF_FOR_LOOKUP
#define V	   CONF_FOR_VAULT

#define TABLE(word, type, member, value, service, kinds, roles, ...)                       \
	{                                                                                  \
		word, OPTION_##type, offsetof(struct conf_listener, member), value, kinds, \
		    (roles) | CONF_FOR_PARENT, SERVICE_##service,                          \
		{                                                                          \
			__VA_ARGS__                                                        \
		}                                                                          \
	}
#define ROW(word, type, member, value, kinds, roles, ...) \
	TABLE(word, type, member, value, STRING, kinds, roles, __VA_ARGS__)
#define OFFSET(member) offsetof(struct conf_listener, member)
/* clang-format off */
static const struct option listener_rows[] = {
    ROW("inet4", CHOICE, family, AF_INET, ON_ADDRESS, S | L, NULL),
    ROW("inet6", CHOICE, family, AF_INET6, ON_ADDRESS, S | L, NULL),
    ROW("port", PORT, port, 0, ON_ADDRESS, S | V | L, NULL),
    ROW("tls", CHOICE, tls, CONF_TLS_STARTTLS, ON_ADDRESS, S | V | L, NULL),
    ROW("tls-require", CHOICE, tls, CONF_TLS_REQUIRE, ON_ADDRESS, S | V | L, NULL),
    ROW("smtps", CHOICE, tls, CONF_TLS_SMTPS, ON_ADDRESS, S | V | L, NULL),
    ROW("verify", FLAG, verify, 0, ON_ADDRESS, S, "tls-require", "smtps"),
    ROW("pki", PKIS, pkis, OFFSET(npkis), ON_ADDRESS, S | V, NULL),
    ROW("ca", CA, ca, 0, ON_ADDRESS, S, NULL),
    ROW("ciphers", CIPHERS, ciphers, 0, ON_ADDRESS, S, NULL),
    ROW("protocols", PROTOCOLS, protocols, 0, ON_ADDRESS, S, NULL),
    ROW("curves", CURVES, curves, 0, ON_ADDRESS, S, NULL),
    TABLE("auth", PASSWORDS, auth, OFFSET(auth_table), AUTH, ON_ADDRESS, S | V | L, NULL),
    TABLE("auth-optional", PASSWORDS, auth_optional, OFFSET(auth_table), AUTH, ON_ADDRESS, S | V | L, NULL),
    TABLE("tokens", TOKENS, tokens, 0, AUTH, ON_ADDRESS, S | V | L, NULL),
    ROW("insecure-auth", FLAG, insecure_auth, 0, ON_ADDRESS, S | V | L, NULL),
    ROW("submission", FLAG, submission, 0, ON_ADDRESS | ON_PATH, S | V, NULL),
    ROW("lmtp", FLAG, lmtp, 0, ON_ADDRESS | ON_PATH, S | V, NULL),
    ROW("tag", NAME, tag, 0, ON_ALL, S | L, NULL),
    ROW("hostname", HOSTNAME, hostname, 0, ON_ADDRESS | ON_PATH, S, NULL),
    TABLE("senders", MAPPING, senders, 0, SENDERS, ON_ADDRESS, S | L, NULL),
    ROW("masquerade", FLAG, senders_masquerade, 0, ON_ADDRESS, S, "senders"),
    ROW("mask-src", FLAG, mask_src, 0, ON_ALL, S, NULL),
    ROW("no-dsn", FLAG, no_dsn, 0, ON_ALL, S, NULL),
    ROW("received-auth", FLAG, received_auth, 0, ON_ADDRESS, S, NULL),
    ROW("proxy-v2", FLAG, proxy_v2, 0, ON_ADDRESS, S, NULL),
    TABLE("proxy", LIST, proxy, 0, NETADDR, ON_ADDRESS, S, NULL),
    TABLE("xclient", LIST, xclient, 0, NETADDR, ON_ADDRESS, S, NULL),
    ROW("filter", FILTER, filter, 0, ON_ALL, S | L, NULL),
    ROW("group", ACCOUNT, group, 0, ON_PATH, S, NULL),
};
/* clang-format on */
#undef OFFSET
#undef ROW
#undef TABLE

const struct option_table listener_options = {"listen", listener_rows, NITEMS(listener_rows)};

unsigned int
listener_option_kind(const struct conf_listener *l)
{
	if (l->unix_path)
		return ON_PATH;
	return l->socket ? ON_SOCKET : ON_ADDRESS;
}

#define NEEDS_TLS " needs 'tls', 'tls-require' or 'smtps'"

/* Options that need or exclude each other. */
static int
listener_check(struct parser *p, const struct conf_listener *l, const struct place *at)
{
	bool auth = l->auth || l->auth_optional, tls = l->tls != CONF_TLS_NONE;
	const struct {
		bool broken;
		const char *why;
	} laws[] = {
	    {l->auth && l->auth_optional, "'auth' and 'auth-optional' exclude each other"},
	    {auth && !tls && !l->insecure_auth, "'auth'" NEEDS_TLS},
	    {l->npkis > 0 && !tls, "'pki'" NEEDS_TLS},
	    {l->ca != NULL && !tls, "'ca'" NEEDS_TLS},
	    {l->verify && l->ca == NULL, "'verify' needs 'ca'"},
	    {l->ciphers != NULL && !tls, "'ciphers'" NEEDS_TLS},
	    {l->protocols != NULL && !tls, "'protocols'" NEEDS_TLS},
	    {l->curves != NULL && !tls, "'curves'" NEEDS_TLS},
	    {l->tokens != NULL && !auth, "'tokens' needs 'auth' or 'auth-optional'"},
	    {l->senders != NULL && !auth, "'senders' needs 'auth' or 'auth-optional'"},
	    {l->insecure_auth && !auth, "'insecure-auth' needs 'auth' or 'auth-optional'"},
	    {l->insecure_auth && !check_loopback(l->host),
		"'insecure-auth' is for loopback addresses, 'localhost' and 'lo' alone"},
	    {l->proxy_v2 && l->proxy != NULL, "'proxy' and 'proxy-v2' exclude each other"},
	    {l->lmtp && l->submission, "'lmtp' and 'submission' exclude each other"},
	    {l->lmtp && l->port == PORT_SMTP, "'lmtp' is not for port 25: RFC 2033 section 5"},
	    {l->submission && l->port == PORT_SMTP,
		"'submission' is not for port 25: RFC 6409 section 3.1"},
	};
	size_t i;

	for (i = 0; i < NITEMS(laws); i++) {
		if (laws[i].broken) {
			error_add(p->errors, at, "%s", laws[i].why);
			return -1;
		}
	}
	return 0;
}

static bool
is_listened_on(const struct conf *c, const char *path)
{
	size_t i;

	for (i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->unix_path && l->host != NULL && strcmp(l->host, path) == 0)
			return true;
	}
	return false;
}

/* What the address in hand names, and how: the host. */
static int
parse_host(struct parser *p, struct conf_listener *l)
{
	if (parse_is_word(p, "socket")) {
		if (parse_supported(p, &p->tok.at, "listen", "socket") == -1)
			return -1;
		l->socket = true;
		if ((l->host = strdup("socket")) == NULL)
			return parse_fail(p, "out of memory");
		parse_advance(p);
		return 0;
	}
	if (!parse_is_name(p) || p->tok.text[0] != '/')
		return parse_string(p, "an address or interface", CONF_STRING_MAX, &l->host);
	if (is_listened_on(p->conf, p->tok.text))
		return parse_fail(p, "'%.64s' is listened on twice", p->tok.text);
	l->unix_path = true;
	return parse_checked(p, "a path that a socket can have", check_socket_path, &l->host);
}

static void
listener_complete(struct conf_listener *l, const struct option_run *run)
{
	bool has_port = listener_option_kind(l) == ON_ADDRESS;

	if (has_port && !option_was_given(&listener_options, run, "port"))
		l->port = l->tls == CONF_TLS_SMTPS ? PORT_SMTPS : PORT_SMTP;
	if (l->auth && !l->lmtp && l->port != PORT_SMTP)
		l->submission = true;
}

int
parse_listen(struct parser *p)
{
	struct conf *c = p->conf;
	struct place at = p->tok.at;
	struct conf_listener *l;
	struct option_run run;
	bool elsewhere;

	/* Only what the parent writes has no files that it could include. */
	elsewhere = p->read == NULL && parse_take_word(p, "elsewhere");
	if (!parse_take_word(p, "on"))
		return parse_expected(p, "'on'");
	l = parse_new(p, &c->listeners, c->nlisteners, sizeof(*l), PARSE_LISTENERS_MAX);
	if (l == NULL)
		return -1;
	c->nlisteners++;
	l->family = AF_UNSPEC;
	at = p->tok.at;
	if (parse_host(p, l) == -1)
		return -1;
	run = (struct option_run){.object = l, .kind = listener_option_kind(l)};
	if (option_parse(p, &listener_options, &run) == -1)
		return -1;
	listener_complete(l, &run);
	if (listener_check(p, l, &at) == -1)
		return -1;
	if (!elsewhere)
		p->listener_at[l - c->listeners] = at;
	return 0;
}
