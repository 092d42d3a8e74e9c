/* SPDX-License-Identifier: ISC */
/*
 * DATA and BDAT: a body is offered.
 *
 * Invariant: the octets of a chunk are read whatever is answered to it, so that
 * none is ever taken for a command (RFC 3030 2; CVE-2017-16943); where
 * their number can't be known, the connection ends.
 */
#include "session/session.h"

/* -- an end without a message -- */

enum reply
data_reply_of(enum ipc_outcome outcome)
{
	return outcome == IPC_FULL     ? REPLY_DISK_FULL
	       : outcome == IPC_DENIED ? REPLY_PAUSED
				       : REPLY_QUEUE_DOWN;
}

/* -- chunks that nobody wants -- */

static void
swallow_end(struct session *s)
{
	session_enter(s, s->back);
	session_say_held(s);
}

bool
data_is_endless(const struct session *s, uint64_t octets)
{
	return octets / 2 > s->program->conf->values.smtp_max_message_bytes + (1U << 20);
}

static void
swallow(struct session *s, uint64_t octets, const char *line, size_t times)
{
	if (data_is_endless(s, octets)) {
		session_quit(s, REPLY_TOO_BIG);
		return;
	}
	pace_reset(&s->pace);
	if (session_hold(s, line, times) == -1) {
		session_bury(s);
		return;
	}
	s->swallow = octets;
	session_enter(s, STATE_SWALLOW);
	if (octets == 0)
		swallow_end(s);
}

void
data_swallow(struct session *s, uint64_t octets, enum state to, enum reply r)
{
	const struct reply_row *row = reply_row(r);
	char line[SESSION_LINE_MAX];

	session_format(line, row->code, row->status, row->text);
	s->errors++;
	s->back = to;
	swallow(s, octets, line, 1);
}

void
data_swallow_input(struct session *s)
{
	struct buf *in = io_input(s->io);
	uint64_t n = in->len < s->swallow ? in->len : s->swallow;
	int64_t now_ms = service_now_ms(s->program->service);

	if (pace_dawdles(&s->pace, n, now_ms, s->program->conf->values.smtp_timeout_s)) {
		session_quit(s, REPLY_TIMEOUT);
		return;
	}
	pace_count(&s->pace, n);
	io_consume(s->io, (size_t)n);
	s->swallow -= n;
	if (s->swallow == 0)
		swallow_end(s);
}

/* The transaction is over, though octets of it are still on their way. */
static void
give_up_chunk(struct session *s, const char *line)
{
	struct transaction *t = s->tx;
	uint64_t left = t->chunk_left;
	size_t times = s->policy->lmtp && t->last ? t->nrcpts : 1;

	transaction_free(s);
	s->back = STATE_IDLE;
	swallow(s, left, line, times);
}

void
data_give_up_text(struct session *s, int code, const char *status, const char *text)
{
	char line[SESSION_LINE_MAX];

	if (s->tx->chunked && s->tx->chunk_left > 0) {
		session_format(line, code, status, text);
		s->errors += code >= 500;
		give_up_chunk(s, line);
		return;
	}
	if (s->tx->chunked)
		s->tx->ended = s->tx->last;
	session_enter(s, STATE_IDLE);
	commit_reply(s, code, status, text);
}

void
data_give_up(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);

	data_give_up_text(s, row->code, row->status, row->text);
}

/* -- the commands -- */

void
cmd_data(struct session *s, const struct command *c)
{
	(void)c;
	if (s->tx->mail.body == BODY_KIND_BINARYMIME)
		session_reply(s, REPLY_BINARY_BY_DATA); /* RFC 3030 3 */
	else
		gate_ask(s, CONF_PHASE_DATA);
}

void
cmd_bdat(struct session *s, const struct command *c)
{
	struct transaction *t = s->tx;
	uint64_t size;
	bool last;

	if (parse_bdat(c, &size, &last) != PARSE_OK) {
		session_quit(s, REPLY_BAD_CHUNK);
		return;
	}
	if ((s->state & (unsigned int)(STATE_RCPT | STATE_CHUNKS)) == 0) {
		data_swallow(s, size, s->state, command_out_of_order(s, c->verb));
		return;
	}
	t->last = last;
	t->chunk_bytes = t->chunk_left = size;
	if (s->state == STATE_CHUNKS) {
		stream_chunk(s);
		return;
	}
	t->chunked = true;
	gate_ask(s, CONF_PHASE_DATA);
}

/* The filters have nothing against it: when the queue is ready it begins. */
void
data_passed(struct session *s, const char *value)
{
	struct transaction *t = s->tx;

	(void)value;
	if (t->begun == BEGUN_NOT)
		announce(s);
	session_enter(s, STATE_BEGINNING);
	if (t->begun == BEGUN_NOT)
		data_give_up(s, REPLY_QUEUE_DOWN);
	else if (t->begun == BEGUN_ANSWERED)
		data_begin(s);
}

void
data_begin(struct session *s)
{
	struct transaction *t = s->tx;

	if (t->outcome != IPC_OK || announce_recipients(s) == -1) {
		data_give_up(s, data_reply_of(t->outcome));
		return;
	}
	ask_set_deadline(service_asks(s->program->service), t->req, INT64_MAX);
	stream_start(s);
}
