/* SPDX-License-Identifier: ISC */
/*
 * XCLIENT: a listed host says whom it speaks for.
 *
 * Invariant: nobody becomes local by it; the client that is named passes lookup
 * and the filters as if it had come itself, and is greeted anew.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "session/session.h"

static int
take_address(struct session *s, const struct xclient_args *a)
{
	struct addr peer;
	uint64_t port = 0;

	if (a->addr == NULL)
		return 0;
	if (a->addr[0] == '\0') { /* a client, but nobody knows which */
		s->local = false;
		return 0;
	}
	if (a->port != NULL && a->port[0] != '\0' && str_u64(a->port, 0, 65535, &port) == -1)
		return -1;
	if (addr_parse(a->addr, (uint16_t)port, &peer) == -1)
		return -1;
	s->peer = peer;
	s->local = s->local && addr_is_loopback(&peer);
	return 0;
}

/* "" takes the old value away; NULL leaves it. */
static int
take_word(char **dst, const char *word)
{
	char *copy = NULL;

	if (word == NULL)
		return 0;
	if (word[0] != '\0' && (copy = strdup(word)) == NULL)
		return -1;
	free(*dst);
	*dst = copy;
	return 0;
}

void
cmd_xclient(struct session *s, const struct command *c)
{
	struct xclient_args args;

	if (!s->may_xclient) {
		session_reply(s, REPLY_NO_XCLIENT);
		return;
	}
	if (parse_xclient(c->arg, &args) != PARSE_OK) {
		session_reply(s, REPLY_BAD_XCLIENT);
		return;
	}
	/* The visit that ends is the one that lookup was told of: before the address changes. */
	door_leave(s);
	if (take_address(s, &args) == -1 || take_word(&s->name, args.name) == -1 ||
	    take_word(&s->helo, args.helo) == -1 || take_word(&s->auth, args.login) == -1) {
		session_quit(s, REPLY_BAD_XCLIENT);
		return;
	}
	if (args.name != NULL) {
		s->named = true;
		s->rdns = s->name == NULL ? IPC_RDNS_NONE : IPC_RDNS_CONFIRMED;
	} else if (args.addr != NULL)
		s->named = false; /* another client: DNS is asked for its name */
	s->spoken_for = true;
	s->extended = s->junk = s->bypass = false;
	s->admitted = false;
	session_enter(s, STATE_ENTERING);
	door_ask(s);
}
