/* SPDX-License-Identifier: ISC */
/*
 * "listen on": a listener and its options.
 *
 * Invariant: a listener that takes passwords has TLS, so that none is ever
 * asked for in the clear.  What comes in by port 25 is relayed as it came, and
 * is SMTP.
 */
#include "lib/conf/option.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/conf/check.h"

#define PORT_SMTP      25
#define PORT_SMTPS     465

#define ON_ADDRESS     1U
#define ON_SOCKET      2U
#define ON_PATH	       4U
#define ON_ALL	       (ON_ADDRESS | ON_SOCKET | ON_PATH)

#define LISTENER_ROLES (CONF_FOR_PARENT | CONF_FOR_SESSION)

#define ROW(word, type, member, value, kinds, after)                                       \
	{                                                                                  \
		word, OPTION_##type, offsetof(struct conf_listener, member), value, kinds, \
		    LISTENER_ROLES, after                                                  \
	}
/* clang-format off */
static const struct option listener_rows[] = {
    ROW("inet4", CHOICE, family, AF_INET, ON_ADDRESS, NULL),
    ROW("inet6", CHOICE, family, AF_INET6, ON_ADDRESS, NULL),
    ROW("port", PORT, port, 0, ON_ADDRESS, NULL),
    ROW("tls", CHOICE, tls, CONF_TLS_STARTTLS, ON_ADDRESS, NULL),
    ROW("tls-require", CHOICE, tls, CONF_TLS_REQUIRE, ON_ADDRESS, NULL),
    ROW("smtps", CHOICE, tls, CONF_TLS_SMTPS, ON_ADDRESS, NULL),
    ROW("pki", PKI, pki, 0, ON_ADDRESS, NULL),
    ROW("ca", NAME, ca, 0, ON_ADDRESS, NULL),
    ROW("auth", FLAG_MAPPING, auth, offsetof(struct conf_listener, auth_table), ON_ADDRESS, NULL),
    ROW("auth-optional", FLAG_MAPPING, auth_optional, offsetof(struct conf_listener, auth_table),
	ON_ADDRESS, NULL),
    ROW("submission", FLAG, submission, 0, ON_ADDRESS | ON_PATH, NULL),
    ROW("lmtp", FLAG, lmtp, 0, ON_ADDRESS | ON_PATH, NULL),
    ROW("tag", NAME, tag, 0, ON_ALL, NULL),
    ROW("hostname", HOSTNAME, hostname, 0, ON_ADDRESS | ON_PATH, NULL),
    ROW("senders", MAPPING, senders, 0, ON_ADDRESS, NULL),
    ROW("masquerade", FLAG, senders_masquerade, 0, ON_ADDRESS, "senders"),
    ROW("mask-src", FLAG, mask_src, 0, ON_ALL, NULL),
    ROW("no-dsn", FLAG, no_dsn, 0, ON_ALL, NULL),
    ROW("received-auth", FLAG, received_auth, 0, ON_ADDRESS, NULL),
    ROW("proxy-v2", FLAG, proxy_v2, 0, ON_ADDRESS, NULL),
    ROW("proxy", LIST, proxy, 0, ON_ADDRESS, NULL),
    ROW("xclient", LIST, xclient, 0, ON_ADDRESS, NULL),
    ROW("filter", FILTER, filter, 0, ON_ALL, NULL),
    ROW("group", ACCOUNT, group, 0, ON_PATH, NULL),
};
/* clang-format on */
#undef ROW

const struct option_table listener_options = {"listen", listener_rows, NITEMS(listener_rows)};

unsigned int
listener_option_kind(const struct conf_listener *l)
{
	if (l->unix_path)
		return ON_PATH;
	return l->socket ? ON_SOCKET : ON_ADDRESS;
}

static int
listener_refused(struct parser *p, const struct place *at, const char *why)
{
	error_add(p->errors, at, "%s", why);
	return -1;
}

static int
listener_check_protocol(struct parser *p, const struct conf_listener *l, const struct place *at)
{
	if (l->lmtp && l->submission)
		return listener_refused(p, at, "'lmtp' and 'submission' exclude each other");
	if (l->lmtp && l->port == PORT_SMTP)
		return listener_refused(p, at, "'lmtp' is not for port 25: RFC 2033 section 5");
	if (l->submission && l->port == PORT_SMTP)
		return listener_refused(
		    p, at, "'submission' is not for port 25: RFC 6409 section 3.1");
	return 0;
}

/* Options that need or exclude each other. */
static int
listener_check(struct parser *p, const struct conf_listener *l, const struct place *at)
{
	bool auth = l->auth || l->auth_optional;

	if (l->auth && l->auth_optional)
		return listener_refused(p, at, "'auth' and 'auth-optional' exclude each other");
	if (auth && l->tls == CONF_TLS_NONE)
		return listener_refused(p, at, "'auth' needs 'tls', 'tls-require' or 'smtps'");
	if (l->pki != NULL && l->tls == CONF_TLS_NONE)
		return listener_refused(p, at, "'pki' needs 'tls', 'tls-require' or 'smtps'");
	if (l->senders != NULL && !auth)
		return listener_refused(p, at, "'senders' needs 'auth' or 'auth-optional'");
	if (l->proxy_v2 && l->proxy != NULL)
		return listener_refused(p, at, "'proxy' and 'proxy-v2' exclude each other");
	return listener_check_protocol(p, l, at);
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
	return listener_check(p, l, &at);
}
