/* SPDX-License-Identifier: ISC */
/*
 * The text of a message on its way out, and the replies to it: lines up to a
 * dot, or chunks (RFC 3030) with the last one marked as such.
 *
 * Invariants: the end is said only when all of the text was handed over, so
 * that what is cut short is never taken for a message; a message that is not
 * BINARYMIME leaves without a bare CR or LF in either form.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/net/io.h"

#define OUTPUT_MARK  (128U << 10) /* enough for now */
#define GATHER_MAX   (16U << 10)  /* is sent: a short message leaves with its end in one piece */
#define CHUNK_OCTETS (32U << 10)  /* a chunk is no shorter, but for the last */
#define STUFF_PIECE  8192U

/* Chunks that wait for no reply need PIPELINING; a text that nobody has to cut into lines needs none. */
void
client_body_choose(struct client *c)
{
	bool pipelining = (c->features & FEATURE_PIPELINING) != 0;
	bool chunks = c->options.chunking && !c->options.lmtp && pipelining &&
		      (c->features & FEATURE_CHUNKING) != 0;

	if (c->mail->is_binary)
		c->form = pipelining ? BODY_CHUNKS : BODY_ONE_CHUNK;
	else
		c->form = chunks ? BODY_CHUNKS : BODY_LINES;
}

/* -- out -- */

static void
send_chunk(struct client *c, bool last)
{
	char line[48];

	(void)snprintf(line, sizeof(line), "BDAT %zu%s\r\n", c->held.len, last ? " LAST" : "");
	client_write_str(c, line);
	if (c->state != CLIENT_OVER && c->held.len > 0)
		client_write(c, buf_head(&c->held), c->held.len);
	buf_free(&c->held);
	c->chunks_due += !last;
}

static void
write_text(struct client *c, const void *data, size_t len)
{
	if (c->form != BODY_CHUNKS)
		client_write(c, data, len);
	else if (buf_append(&c->held, data, len) == -1)
		client_fail(c, CAUSE_NO_MEMORY, NULL);
}

static void
write_stuffed(struct client *c, struct span data)
{
	uint8_t out[STUFF_ROOM(STUFF_PIECE)];
	size_t part, n;

	for (; data.len > 0 && c->state == CLIENT_BODY; data.data += part, data.len -= part) {
		part = data.len < STUFF_PIECE ? data.len : STUFF_PIECE;
		n = stuff_feed(&c->stuff, data.data, part, out);
		write_text(c, out, n);
	}
}

/* More than was said would be read as commands. */
static void
write_one_chunk(struct client *c, struct span data)
{
	if (data.len > c->left_bytes) {
		client_fail(c, CAUSE_BODY_DAMAGED, NULL);
		return;
	}
	c->left_bytes -= data.len;
	client_write(c, data.data, data.len);
}

static void
write_piece(struct client *c, struct span data)
{
	if (c->form == BODY_CHUNKS && c->held.len >= CHUNK_OCTETS)
		send_chunk(c, false);
	if (!c->mail->is_binary)
		write_stuffed(c, data);
	else if (c->form == BODY_CHUNKS)
		write_text(c, data.data, data.len);
	else
		write_one_chunk(c, data);
}

void
client_body_begin(struct client *c)
{
	char line[48];

	c->stuff = (struct stuff){.keeps_dots = c->form == BODY_CHUNKS};
	c->left_bytes = c->mail->size_bytes;
	c->full = c->body_refused = false;
	c->chunks_due = 0;
	c->ends_due = c->options.lmtp ? c->accepted : 1;
	client_enter(c, CLIENT_BODY);
	client_cork(c);
	if (c->form == BODY_ONE_CHUNK) {
		(void)snprintf(line, sizeof(line), "BDAT %" PRIu64 " LAST\r\n", c->left_bytes);
		client_write_str(c, line);
	}
	if (c->state == CLIENT_BODY)
		c->options.callbacks->on_body(c->options.arg);
}

void
client_body_none(struct client *c)
{
	c->body_refused = false;
	c->chunks_due = 0;
	c->ends_due = 1;
	client_say(c, CLIENT_DOT, ".\r\n");
}

void
client_body(struct client *c, struct span data)
{
	if (c->state != CLIENT_BODY || data.len == 0)
		return;
	client_cork(c);
	write_piece(c, data);
	/* Once the owner was told to pause, nothing more may come to be gathered with. */
	if (c->state != CLIENT_BODY || (!c->full && io_unsent(c->io) < GATHER_MAX))
		return;
	client_uncork(c);
	if (c->state == CLIENT_BODY && !c->full && io_unsent(c->io) > OUTPUT_MARK) {
		c->full = true;
		c->options.callbacks->on_room(c->options.arg, false);
	}
}

void
client_body_room(struct client *c)
{
	if (!c->full)
		return;
	c->full = false;
	c->options.callbacks->on_room(c->options.arg, true);
}

void
client_body_end(struct client *c)
{
	uint8_t out[STUFF_END_ROOM];
	size_t n = 0;

	if (c->state != CLIENT_BODY)
		return;
	if (c->form == BODY_ONE_CHUNK && c->left_bytes > 0) {
		client_fail(c, CAUSE_BODY_DAMAGED, NULL);
		return;
	}
	/* With lines, whatever it said since 354 would be an answer ahead of the end. */
	if (c->chunks_due == 0 && !client_may_talk(c))
		return;
	client_cork(c);
	if (!c->mail->is_binary)
		n = stuff_end(&c->stuff, out);
	if (n > 0)
		write_text(c, out, n);
	if (c->form == BODY_CHUNKS && c->state == CLIENT_BODY)
		send_chunk(c, true);
	client_enter(c, CLIENT_DOT);
	client_uncork(c);
}

void
client_body_break(struct client *c, enum cause why)
{
	if (c->state == CLIENT_BODY)
		client_fail(c, why, NULL);
}

/* -- replies -- */

void
client_on_chunk_ok(struct client *c)
{
	if (c->chunks_due == 0) {
		client_fail(c, CAUSE_GARBAGE, c->reply.text);
		return;
	}
	c->chunks_due--;
	client_enter(c, CLIENT_BODY);
}

/* All that is due came. */
static void
body_over(struct client *c)
{
	/* RFC 3030 2: a chunk that failed leaves an unknown state. */
	client_transaction_over(
	    c, c->body_refused || (c->form != BODY_LINES && c->reply.code / 100 != 2));
}

/*
 * It has read enough.  The rest of lines, or of the one chunk, would be taken for commands:
 * cut.  Of chunks no more are said, and those already said have replies of their own.
 */
void
client_on_body_refused(struct client *c)
{
	client_verdict_accepted(c);
	if (c->form != BODY_CHUNKS || c->chunks_due == 0) {
		verdict_of_reply(&c->why, STAGE_DATA, &c->reply);
		client_give_up(c, CLIENT_LOST);
		return;
	}
	c->options.callbacks->on_body_stop(c->options.arg);
	buf_free(&c->held);
	c->body_refused = true;
	c->chunks_due--;
	c->ends_due = 0;
	client_enter(c, CLIENT_DOT);
	client_uncork(c);
	if (c->chunks_due == 0)
		body_over(c);
}

/* A chunk that is not the last, when all were said. */
static void
on_late_chunk(struct client *c)
{
	c->chunks_due--;
	if (c->reply.code / 100 == 2 || c->body_refused)
		return;
	client_verdict_accepted(c);
	c->body_refused = true;
	if (!c->options.lmtp)
		return;
	/* Nothing says how many replies the last one has now. */
	verdict_of_reply(&c->why, STAGE_DATA, &c->reply);
	client_give_up(c, CLIENT_LOST);
}

void
client_on_dot(struct client *c)
{
	if (c->chunks_due > 0)
		on_late_chunk(c);
	else {
		c->ends_due--;
		if (c->options.lmtp)
			client_verdict_next(c);
		else
			client_verdict_accepted(c);
	}
	if (c->chunks_due + c->ends_due > 0)
		client_enter(c, CLIENT_DOT);
	else
		body_over(c);
}
