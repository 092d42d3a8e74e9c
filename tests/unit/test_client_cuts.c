/* SPDX-License-Identifier: ISC */
/*
 * A good session of two messages that goes wrong at one place: cut after each
 * octet of the server's, or with another reply in the place of each.  Each recipient has
 * one verdict at most, and "delivered" only by the whole reply to the message's end;
 * what has no verdict is not lost, for its end says so.
 */
#include "tests/unit/client_script.h"

#define REPLIES_MAX 24
#define NRCPTS	    2
#define NMAILS	    2

struct session {
	const char *name;
	struct script mail;
	const char *replies
	    [REPLIES_MAX]; /* each when the client has said something, or all that is to come */
	bool ends[REPLIES_MAX]; /* that is the reply to a message's end */
};

static const struct session sessions[] = {
    {.name = "in turn",
	.replies = {"220 hi\r\n", "250-mx\r\n250 SIZE\r\n", "250 ok\r\n", "250 ok\r\n",
	    "250 ok\r\n", "354 go\r\n", "250 2.6.0 one\r\n", "250 ok\r\n", "250 ok\r\n",
	    "250 ok\r\n", "354 go\r\n", "250 two\r\n", "221 bye\r\n"},
	.ends = {[6] = true, [11] = true}},
    {.name = "pipelined",
	.replies = {"220 hi\r\n", "250-mx\r\n250 PIPELINING\r\n",
	    "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 2.6.0 one\r\n",
	    "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 two\r\n", "221 bye\r\n"},
	.ends = {[3] = true, [5] = true}},
    {.name = "LMTP",
	.mail = {.lmtp = true},
	.replies = {"220 hi\r\n", "250-mx\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n",
	    "354 go\r\n", "250 one\r\n250 one too\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n",
	    "354 go\r\n", "250 two\r\n250 two too\r\n", "221 bye\r\n"},
	.ends = {[4] = true, [7] = true}},
    {.name = "chunks",
	.mail = {.chunking = true},
	.replies = {"220 hi\r\n", "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	    "250 ok\r\n250 ok\r\n250 ok\r\n", "250 one\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n",
	    "250 two\r\n", "221 bye\r\n"},
	.ends = {[3] = true, [5] = true}},
    {.name = "one chunk",
	.mail = {.is_binary = true},
	.replies = {"220 hi\r\n", "250-mx\r\n250-CHUNKING\r\n250 BINARYMIME\r\n", "250 ok\r\n",
	    "250 ok\r\n", "250 ok\r\n", "250 one\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n",
	    "250 two\r\n", "221 bye\r\n"},
	.ends = {[5] = true, [9] = true}},
};

/* What may come in the place of a reply; NULL: nothing but the end of the connection. */
static const char *const others[] = {"421 4.3.2 stopping\r\n", "450 4.2.0 later\r\n",
    "451 4.7.1 Greylisted, try again in 60 seconds\r\n", "452 4.5.3 many\r\n", "500 what\r\n",
    "503 5.5.1 no\r\n", "550 5.7.1 no\r\n", "552 much\r\n", "554 no\r\n", "354 go\r\n",
    "334 eA==\r\n", "250 ok\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n", "220 hi\r\n", "235 ok\r\n",
    "221 bye\r\n", "999 x\r\n", "1\r\n", "\r\n", "250-\r\n550 x\r\n", "250 \xff\xfe\r\n",
    "250 a\nb\r\n", "\n\n\n", "25", NULL};

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

/* What the client says, until it waits or is gone: how many messages of it came to their end. */
static size_t
let_talk(struct run *r)
{
	char said[4096];
	size_t ends = 0;
	int quiet;
	ssize_t n;

	for (quiet = 0; quiet < 3; quiet++) {
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		while ((n = recv(r->fd, said, sizeof(said) - 1, MSG_DONTWAIT)) > 0) {
			said[n] = '\0';
			ends += count(said, "end\r\n");
			quiet = 0;
		}
	}
	return ends;
}

struct wrong {
	size_t reply;  /* the first that is not as it should be */
	size_t octets; /* so many of it come, and then the end: SIZE_MAX: other comes instead */
	const char *other;
};

/* How many messages were heard to their end, and how many of them the server said yes to in full. */
struct heard {
	size_t ends, yes;
};

static struct heard
serve(struct run *r, const struct session *s, const struct wrong *w)
{
	struct heard heard = {0, 0};
	size_t i, len;
	const char *reply;

	for (i = 0; i < REPLIES_MAX && s->replies[i] != NULL && !r->over; i++) {
		heard.ends += let_talk(r);
		reply = i == w->reply && w->octets == SIZE_MAX ? w->other : s->replies[i];
		if (reply == NULL)
			break;
		len = i == w->reply && w->octets < strlen(reply) ? w->octets : strlen(reply);
		(void)send(r->fd, reply, len, MSG_NOSIGNAL);
		if (i == w->reply && w->octets != SIZE_MAX)
			break;
		heard.yes += s->ends[i] && i != w->reply;
	}
	heard.ends += let_talk(r);
	(void)shutdown(r->fd, SHUT_WR);
	return heard;
}

static void
check_told(const struct session *s, const struct wrong *w, const char *told, struct heard heard)
{
	size_t ok = count(told, " ok "),
	       judged = ok + count(told, " retry ") + count(told, " fail ");
	size_t done = count(told, "done\n");
	/* A 2yz out of place may be taken for the message's: that is what it says. */
	bool forged = w->octets == SIZE_MAX && w->other != NULL && w->other[0] == '2';
	/* LMTP has one reply a recipient: the first of two may have come. */
	size_t most = s->mail.lmtp ? (heard.yes + 1) * NRCPTS - 1 : heard.yes * NRCPTS;
	bool lost = strstr(told, "lost") != NULL, stale = strstr(told, "stale") != NULL;

	if ((!forged && ok > most) || ok > heard.ends * NRCPTS || judged > NMAILS * NRCPTS ||
	    judged < done * NRCPTS || (lost && judged % NRCPTS != 0) ||
	    /* what was heard to its end was judged, lest it be sent again and be there twice */
	    (stale && (judged != done * NRCPTS || heard.ends > done)) ||
	    (w->reply == SIZE_MAX && ok != NMAILS * NRCPTS))
		fail_msg("%s, reply %zu, octets %zd, \"%s\": %zu ends, %zu yes, and told\n%s",
		    s->name, w->reply, (ssize_t)w->octets, w->other == NULL ? "" : w->other,
		    heard.ends, heard.yes, told);
}

static void
run_wrong(const struct session *s, const struct wrong *w)
{
	struct script script = s->mail;
	struct run r = {.script = &script, .base = event_base_new(), .left = NMAILS};
	const struct client_options options = {.callbacks = &callbacks,
	    .arg = &r,
	    .helo = "mx.test",
	    .lmtp = script.lmtp,
	    .chunking = script.chunking,
	    .timeout_scale = 100};
	time_t deadline = time(NULL) + DEADLINE_S;
	struct heard heard;
	int pair[2];

	script.name = s->name;
	script.nrcpts = NRCPTS;
	r.mail = mail_of(&script);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	r.fd = pair[1];
	r.client = client_create(r.base, pair[0], &options);
	assert_non_null(r.client);
	heard = serve(&r, s, w);
	while (!r.over)
		turn(&r, deadline);
	check_told(s, w, r.told, heard);
	client_free(r.client);
	(void)close(r.fd);
	event_base_free(r.base);
}

static void
test_every_octet(void **state)
{
	struct wrong w = {.other = NULL};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(sessions); i++)
		for (w.reply = 0; sessions[i].replies[w.reply] != NULL; w.reply++)
			for (w.octets = 0; w.octets < strlen(sessions[i].replies[w.reply]);
			     w.octets++)
				run_wrong(&sessions[i], &w);
}

static void
test_every_reply(void **state)
{
	struct wrong w = {.octets = SIZE_MAX};
	size_t i, other;

	(void)state;
	for (i = 0; i < NITEMS(sessions); i++)
		for (w.reply = 0; sessions[i].replies[w.reply] != NULL; w.reply++)
			for (other = 0; other < NITEMS(others); other++) {
				w.other = others[other];
				run_wrong(&sessions[i], &w);
			}
}

/* With nothing wrong all is delivered: the sessions are what they are taken for. */
static void
test_nothing_wrong(void **state)
{
	const struct wrong none = {.reply = SIZE_MAX};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(sessions); i++)
		run_wrong(&sessions[i], &none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_wrong),
	    cmocka_unit_test(test_every_octet),
	    cmocka_unit_test(test_every_reply),
	};

	(void)run_scripts;
	(void)server_expect_end;
	(void)wait_told;
	return cmocka_run_group_tests_name("client cuts", tests, NULL, NULL);
}
