/* SPDX-License-Identifier: ISC */
/*
 * The octets of a body on their way from the client to the queue, a chunk at a time.
 *
 * Invariants: memory is bounded whatever the size; whatever goes wrong, the
 * client's data is read to its real end before it is answered, so that no octet of
 * a body is ever taken for a command; who dawdles is not waited for.
 */
#include <stdio.h>

#include "lib/base/str.h"
#include "session/session.h"

#define SCRATCH_SIZE 4096
#define SCRATCH_OUT  BODY_OUT_MAX(SCRATCH_SIZE, BODY_ACCEPT_BARE_LF)

/* From here on the body is only read to its end. */
void
stream_refuse(struct session *s, enum reply r)
{
	struct transaction *t = s->tx;

	if (t->verdict == REPLY_NONE)
		t->verdict = r;
	announce_take_back(s);
	buf_free(&t->chunk);
}

static void
check_faults(struct session *s)
{
	struct transaction *t = s->tx;

	if (t->verdict != REPLY_NONE)
		return;
	if (t->body.faults & (BODY_BARE_CR | BODY_BARE_LF | BODY_NUL))
		stream_refuse(s, t->chunked ? REPLY_BAD_CHUNK_BODY : REPLY_BAD_BODY);
	else if (t->body.faults & BODY_LINE_TOO_LONG)
		stream_refuse(s, REPLY_BODY_LINE_TOO_LONG);
	else if (t->body.faults & BODY_TOO_BIG)
		stream_refuse(s, REPLY_TOO_BIG);
	else if (t->headers.received > s->program->conf->values.smtp_max_received)
		stream_refuse(s, REPLY_LOOP); /* RFC 5321 6.3 */
}

static void
send_chunk(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	struct msg_mail_chunk m = {
	    .req = t->req, .seq = t->seq + 1, .data = {buf_head(&t->chunk), t->chunk.len}};

	if (t->verdict != REPLY_NONE || t->chunk.len == 0)
		return;
	if (queue == NULL || channel_send(queue, MSG_mail_chunk, &m) == -1) {
		stream_refuse(s, REPLY_QUEUE_DOWN);
		return;
	}
	t->seq++;
	s->program->bytes += t->chunk.len;
	buf_consume(&t->chunk, t->chunk.len);
}

void
stream_flush(struct session *s)
{
	struct transaction *t = s->tx;
	uint8_t *out;
	size_t n;

	if (t->verdict == REPLY_NONE && s->policy->submission) {
		if ((out = buf_reserve(&t->chunk, BCC_HELD_MAX)) == NULL) {
			stream_refuse(s, REPLY_NO_MEMORY);
			return;
		}
		bcc_strip_end(&t->strip, out, &n);
		buf_commit(&t->chunk, n);
	}
	send_chunk(s);
}

/* -- bites of the input -- */

/* n octets of the input were dealt with. */
static void
took(struct session *s, size_t n)
{
	struct transaction *t = s->tx;

	io_consume(s->io, n);
	t->octets += n;
	pace_count(&s->pace, n);
	if (t->chunked)
		t->chunk_left -= n;
}

/* How much of the input may be a bite of at most max octets. */
static size_t
bite_size(struct session *s, size_t max)
{
	const struct transaction *t = s->tx;
	size_t n = io_input(s->io)->len;

	if (n > max)
		n = max;
	return t->chunked && n > t->chunk_left ? (size_t)t->chunk_left : n;
}

/* A refused body is only read to its end. */
static void
skip_bite(struct session *s)
{
	uint8_t scratch[SCRATCH_OUT];
	size_t n = bite_size(s, SCRATCH_SIZE), nout;

	took(s, body_feed(&s->tx->body, buf_head(io_input(s->io)), n, scratch, &nout));
}

/* The header of a submission, without what is to stay between sender and server. */
static void
strip_bite(struct session *s)
{
	struct transaction *t = s->tx;
	uint8_t scratch[SCRATCH_OUT], *out;
	size_t n = bite_size(s, SCRATCH_SIZE), nout, kept;

	n = body_feed(&t->body, buf_head(io_input(s->io)), n, scratch, &nout);
	took(s, n);
	if (!t->headers.done)
		header_scan_feed(&t->headers, scratch, nout);
	if ((out = buf_reserve(&t->chunk, nout + BCC_HELD_MAX)) == NULL) {
		stream_refuse(s, REPLY_NO_MEMORY);
		return;
	}
	bcc_strip_feed(&t->strip, scratch, nout, out, &kept);
	buf_commit(&t->chunk, kept);
}

static void
plain_bite(struct session *s)
{
	struct transaction *t = s->tx;
	size_t room = IPC_CHUNK_MAX - t->chunk.len - BODY_OUT_MAX(0, 0);
	bool bare_lf = (t->body.accept & BODY_ACCEPT_BARE_LF) != 0;
	size_t n = bite_size(s, bare_lf ? room / 2 : room), nout;
	uint8_t *out;

	if ((out = buf_reserve(&t->chunk, BODY_OUT_MAX(n, t->body.accept))) == NULL) {
		stream_refuse(s, REPLY_NO_MEMORY);
		return;
	}
	n = body_feed(&t->body, buf_head(io_input(s->io)), n, out, &nout);
	if (!t->headers.done)
		header_scan_feed(&t->headers, out, nout);
	buf_commit(&t->chunk, nout);
	took(s, n);
}

/* What the next bite needs at least. */
static size_t
room_min(const struct session *s)
{
	return s->policy->submission ? SCRATCH_OUT + BCC_HELD_MAX : BODY_OUT_MAX(8, ~0U);
}

static void
take_bite(struct session *s)
{
	struct transaction *t = s->tx;

	if (t->verdict != REPLY_NONE)
		skip_bite(s);
	else if (s->policy->submission)
		strip_bite(s);
	else
		plain_bite(s);
	check_faults(s);
	if (t->chunk.len + room_min(s) > IPC_CHUNK_MAX)
		send_chunk(s);
}

/* -- beginning and end -- */

static bool
is_over(const struct transaction *t)
{
	return t->chunked ? t->chunk_left == 0 : t->body.done;
}

static void
chunk_over(struct session *s)
{
	struct transaction *t = s->tx;
	char text[64];

	if (t->verdict != REPLY_NONE) {
		t->ended = t->last;
		data_give_up(s, t->verdict);
		return;
	}
	if (t->last) {
		body_end_chunks(&t->body);
		check_faults(s);
		commit_ask(s);
		return;
	}
	session_enter(s, STATE_CHUNKS);
	(void)snprintf(
	    text, sizeof(text), "%llu octets received", (unsigned long long)t->chunk_bytes);
	session_reply_text(s, 250, "2.0.0", text);
}

static void
body_over(struct session *s)
{
	if (s->tx->chunked)
		chunk_over(s);
	else
		commit_ask(s);
}

static unsigned
accepts(const struct session *s)
{
	const struct transaction *t = s->tx;
	const struct conf_values *v = &s->program->conf->values;
	unsigned accept = t->chunked ? BODY_ACCEPT_CHUNKS : 0;

	if (t->mail.body == BODY_KIND_BINARYMIME)
		accept |= BODY_ACCEPT_BINARY;
	if (v->smtp_bare_lf == CONF_BARE_LF_NORMALIZE && s->local)
		accept |= BODY_ACCEPT_BARE_LF;
	return accept;
}

void
stream_start(struct session *s)
{
	struct transaction *t = s->tx;
	const struct conf_values *v = &s->program->conf->values;

	t->streaming = true;
	pace_reset(&s->pace);
	body_init(&t->body, v->smtp_max_line_bytes, v->smtp_max_message_bytes, accepts(s));
	header_scan_init(&t->headers, NULL);
	bcc_strip_init(&t->strip);
	if (t->chunked) {
		stream_chunk(s);
		return;
	}
	session_enter(s, STATE_DATA);
	session_reply(s, REPLY_GO_AHEAD);
}

void
stream_chunk(struct session *s)
{
	session_enter(s, STATE_CHUNK);
	pace_reset(&s->pace); /* the time between chunks is for commands */
	if (s->tx->chunk_left == 0)
		body_over(s);
}

void
stream_input(struct session *s)
{
	struct transaction *t = s->tx;
	const struct conf_values *v = &s->program->conf->values;

	if (pace_dawdles(&s->pace, io_input(s->io)->len, service_now_ms(s->program->service),
		v->smtp_timeout_s)) {
		session_quit(s, REPLY_TIMEOUT);
		return;
	}
	if (data_is_endless(s, t->octets)) {
		session_quit(s, REPLY_TOO_BIG);
		return;
	}
	while (io_input(s->io)->len > 0 && !is_over(t)) {
		take_bite(s);
		if (s->program->queue_pressed && t->verdict == REPLY_NONE && !is_over(t)) {
			pace_reset(&s->pace);
			io_pause_input(s->io, true);
			return;
		}
	}
	if (is_over(t))
		body_over(s);
}
