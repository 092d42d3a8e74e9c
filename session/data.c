/* SPDX-License-Identifier: ISC */
/*
 * DATA: the body on its way from the client to the queue, a chunk at a time.
 *
 * Invariants: 250 is said when the queue said OK to the commit, and never
 * else; whatever goes wrong in between, the client's data is read to its real end
 * before it is answered, so that no octet of a body is ever taken for a command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mail/received.h"
#include "session/session.h"

#define BEGIN_DEADLINE_MS  60000
#define COMMIT_DEADLINE_MS 120000
#define CHUNK_FULL	   (IPC_CHUNK_MAX - 4) /* body_feed() may need 4 octets more than it was given */

static void data_start(struct session *s);

/* The queue is to forget what it was told of this transaction. */
void
data_take_back(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = service_peer(s->program->service, ROLE_QUEUE, 0);
	struct msg_mail_abort m = {.req = t->req};

	if (t->taken && queue != NULL)
		(void)channel_send(queue, MSG_mail_abort, &m);
	t->taken = false;
	ask_end(service_asks(s->program->service), t->req);
}

static struct channel *
queue_of(const struct session *s)
{
	return service_peer(s->program->service, ROLE_QUEUE, 0);
}

static void
describe_client(const struct session *s, char *dst, size_t size)
{
	char literal[ADDR_TEXT_MAX];

	addr_literal(&s->peer, literal);
	(void)snprintf(dst, size, "%s %.400s", literal, s->helo);
}

/*
 * Tells the queue that a message begins: with the first good recipient, so that
 * room is reserved and the id is there when DATA comes, and nobody waits for it.
 */
void
data_announce(struct session *s)
{
	struct transaction *t = s->tx;
	struct service *service = s->program->service;
	struct channel *queue = queue_of(s);
	char client[IPC_ADDRESS_MAX];
	struct msg_mail_begin begin = {.sender = t->sender,
	    .client = client,
	    .expect_bytes = t->mail.has_size ? t->mail.size : 0,
	    .flags = t->mail.body == BODY_KIND_8BITMIME ? IPC_FLAG_8BITMIME : 0,
	    .envid = t->mail.envid,
	    .ret = t->mail.ret};

	t->begun = BEGUN_NOT;
	if (queue == NULL)
		return;
	t->req = begin.req = ask_begin(service_asks(service), queue,
	    service_now_ms(service) + BEGIN_DEADLINE_MS, on_queue_lost, s);
	if (t->req == 0)
		return;
	describe_client(s, client, sizeof(client));
	t->taken = channel_send(queue, MSG_mail_begin, &begin) == 0;
	t->begun = BEGUN_ASKED;
}

static int
send_recipients(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	size_t i;

	for (i = 0; i < t->nrcpts; i++) {
		struct msg_mail_rcpt m = {.req = t->req,
		    .address = t->rcpts[i].address,
		    .original = t->rcpts[i].address,
		    .orcpt = t->rcpts[i].orcpt,
		    .action = t->rcpts[i].action,
		    .notify = t->rcpts[i].notify};

		if (queue == NULL || channel_send(queue, MSG_mail_rcpt, &m) == -1)
			return -1;
	}
	return 0;
}

static void
give_up(struct session *s, enum reply r)
{
	transaction_free(s);
	session_enter(s, STATE_IDLE);
	session_reply(s, r);
}

void
cmd_data(struct session *s, const struct command *c)
{
	struct transaction *t = s->tx;

	(void)c;
	if (t->begun == BEGUN_NOT)
		data_announce(s);
	session_enter(s, STATE_BEGINNING);
	if (t->begun == BEGUN_NOT)
		give_up(s, REPLY_QUEUE_DOWN);
	else if (t->begun == BEGUN_ANSWERED)
		data_start(s);
}

/* Why the queue will not have it. */
static enum reply
reply_of_outcome(enum ipc_outcome outcome)
{
	return outcome == IPC_FULL     ? REPLY_DISK_FULL
	       : outcome == IPC_DENIED ? REPLY_PAUSED
				       : REPLY_QUEUE_DOWN;
}

static void
data_start(struct session *s)
{
	struct transaction *t = s->tx;
	const struct conf_values *v = &s->program->conf->values;

	if (t->outcome != IPC_OK || send_recipients(s) == -1) {
		give_up(s, reply_of_outcome(t->outcome));
		return;
	}
	ask_set_deadline(service_asks(s->program->service), t->req, INT64_MAX);
	body_init(&t->body, v->smtp_max_line_bytes, v->smtp_max_message_bytes, 0);
	header_scan_init(&t->headers, NULL);
	session_enter(s, STATE_DATA);
	session_reply(s, REPLY_GO_AHEAD);
}

/* The queue's answer to the announcement; DATA may not have come yet. */
void
data_ready(struct session *s, enum ipc_outcome outcome, uint64_t id)
{
	struct transaction *t = s->tx;

	t->begun = BEGUN_ANSWERED;
	t->outcome = outcome;
	t->id = id;
	if (s->state == STATE_BEGINNING) {
		data_start(s);
		session_continue(s);
	}
}

/* The queue died, or did not answer, before the body came: DATA announces anew. */
void
data_forget(struct session *s)
{
	struct transaction *t = s->tx;

	data_take_back(s);
	t->req = 0;
	t->begun = BEGUN_NOT;
	if (s->state == STATE_BEGINNING) {
		give_up(s, REPLY_QUEUE_DOWN);
		session_continue(s);
	}
}

/* -- the stream -- */

/* From here on the body is only read to its end. */
static void
refuse(struct session *s, enum reply r)
{
	struct transaction *t = s->tx;

	if (t->verdict == REPLY_NONE)
		t->verdict = r;
	data_take_back(s);
	buf_free(&t->chunk);
}

static void
check_faults(struct session *s)
{
	struct transaction *t = s->tx;

	if (t->verdict != REPLY_NONE)
		return;
	if (t->body.faults & (BODY_BARE_CR | BODY_BARE_LF | BODY_NUL))
		refuse(s, REPLY_BAD_BODY);
	else if (t->body.faults & BODY_LINE_TOO_LONG)
		refuse(s, REPLY_BODY_LINE_TOO_LONG);
	else if (t->body.faults & BODY_TOO_BIG)
		refuse(s, REPLY_TOO_BIG);
	else if (t->headers.received > s->program->conf->values.smtp_max_received)
		refuse(s, REPLY_LOOP); /* RFC 5321 6.3 */
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
		refuse(s, REPLY_QUEUE_DOWN);
		return;
	}
	t->seq++;
	s->program->bytes += t->chunk.len;
	buf_consume(&t->chunk, t->chunk.len);
}

/* A refused body is only read to its end. */
static void
skip_bite(struct session *s)
{
	struct transaction *t = s->tx;
	struct buf *in = io_input(s->io);
	uint8_t scratch[4096 + 4];
	size_t n = in->len < 4096 ? in->len : 4096, nout;

	io_consume(s->io, body_feed(&t->body, buf_head(in), n, scratch, &nout));
}

/* One bite of the input through the end-of-data machine. */
static void
take_bite(struct session *s)
{
	struct transaction *t = s->tx;
	struct buf *in = io_input(s->io);
	size_t room = CHUNK_FULL - t->chunk.len, n = in->len < room ? in->len : room, nout;
	uint8_t *out;

	if ((out = buf_reserve(&t->chunk, n + 4)) == NULL) {
		refuse(s, REPLY_NO_MEMORY);
		return;
	}
	n = body_feed(&t->body, buf_head(in), n, out, &nout);
	if (!t->headers.done)
		header_scan_feed(&t->headers, out, nout);
	buf_commit(&t->chunk, nout);
	io_consume(s->io, n);
}

static int
send_commit(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	struct service *service = s->program->service;
	char client[ADDR_TEXT_MAX], id[STR_ID_SIZE];
	struct received r = {.helo = s->helo,
	    .client_name = "",
	    .client_addr = client,
	    .by_host = program_hostname(s->program),
	    .protocol = s->extended ? "ESMTP" : "SMTP",
	    .tls_comment = "",
	    .id = id,
	    .for_addr = t->nrcpts == 1 ? t->rcpts[0].address : "",
	    .when = (time_t)service_now_s(service)};
	struct msg_mail_commit m = {.req = t->req};
	struct buf trace;
	int rc = -1;

	str_id(id, t->id);
	addr_format(&s->peer, client);
	buf_init(&trace, IPC_TRACE_MAX);
	if (queue == NULL || received_format(&r, &trace) == -1)
		goto out;
	m.trace = (struct span){buf_head(&trace), trace.len};
	ask_set_deadline(
	    service_asks(service), t->req, service_now_ms(service) + COMMIT_DEADLINE_MS);
	rc = channel_send(queue, MSG_mail_commit, &m);
out:
	buf_free(&trace);
	return rc;
}

static void
end_of_data(struct session *s)
{
	struct transaction *t = s->tx;

	send_chunk(s);
	if (t->verdict == REPLY_NONE && send_commit(s) == -1)
		refuse(s, REPLY_QUEUE_DOWN);
	if (t->verdict != REPLY_NONE) {
		give_up(s, t->verdict);
		return;
	}
	session_enter(s, STATE_COMMITTING);
}

void
data_input(struct session *s)
{
	struct transaction *t = s->tx;

	while (io_input(s->io)->len > 0 && !t->body.done) {
		if (t->verdict == REPLY_NONE)
			take_bite(s);
		else
			skip_bite(s);
		check_faults(s);
		if (t->chunk.len >= CHUNK_FULL)
			send_chunk(s);
		if (s->program->queue_pressed && t->verdict == REPLY_NONE && !t->body.done) {
			io_pause_input(s->io, true);
			return;
		}
	}
	if (t->body.done)
		end_of_data(s);
}

/* -- the queue's last word -- */

static void
log_accepted(const struct session *s)
{
	const struct transaction *t = s->tx;
	char client[ADDR_TEXT_MAX];
	struct logline l;

	addr_format(&s->peer, client);
	logline_start(&l, LOG_LEVEL_INFO, "accepted");
	logline_id(&l, "id", t->id);
	logline_str(&l, "client", client);
	logline_str(&l, "from", t->sender);
	logline_u64(&l, "recipients", t->nrcpts);
	logline_str(&l, "to", t->rcpts[0].address);
	logline_u64(&l, "size", t->body.bytes);
	logline_end(&l);
}

void
data_done(struct session *s, enum ipc_outcome outcome)
{
	struct transaction *t = s->tx;
	char text[64], id[STR_ID_SIZE];

	if (s->state == STATE_DATA) {
		refuse(s, reply_of_outcome(outcome));
		return;
	}
	t->taken = false; /* the queue has forgotten it, or keeps it for good */
	if (outcome != IPC_OK)
		give_up(s, reply_of_outcome(outcome));
	else {
		s->program->accepted++;
		log_accepted(s);
		str_id(id, t->id);
		(void)snprintf(text, sizeof(text), "%s Message accepted for delivery", id);
		transaction_free(s);
		session_enter(s, STATE_IDLE);
		session_reply_text(s, 250, "2.0.0", text);
	}
	if (service_is_draining(s->program->service))
		session_quit(s, REPLY_CLOSING);
	else
		session_continue(s);
}
