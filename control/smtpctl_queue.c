/* SPDX-License-Identifier: ISC */
/*
 * show queue, show message: what is owed to whom.
 *
 * Invariant: one page or one piece of a message is held at a time, whatever
 * the queue's length or the message's size.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define PAGE_MESSAGES 100

/* As the spool has them: see list_message and list_rcpt in postern-messages(7). */
enum rcpt_state {
	RCPT_EXPAND,
	RCPT_READY,
	RCPT_FAILED, /* from here on a report to the sender is all that is owed */
	RCPT_DELIVERED,
	RCPT_RELAYED,
	RCPT_EXPANDED,
	RCPT_STATE__MAX
};

/* A page of the queue, or one message, as its answers come in. */
struct listing {
	struct ctl *ctl;
	struct json json;
	uint64_t last_id, nmessages, nrcpts;
	uint32_t nchunks, flags; /* of the message under way */
	enum ipc_outcome outcome;
	bool in_message; /* json: its object is open */
	bool more;
};

static const char *
rcpt_word(const struct listing *l, const struct msg_list_rcpt *r)
{
	static const char *const ended[RCPT_STATE__MAX] = {[RCPT_FAILED] = "failed",
	    [RCPT_DELIVERED] = "delivered",
	    [RCPT_RELAYED] = "relayed",
	    [RCPT_EXPANDED] = "expanded"};

	if (r->working)
		return "sending";
	if (r->state >= RCPT_FAILED && r->state < RCPT_STATE__MAX)
		return ended[r->state];
	if (l->flags & IPC_FLAG_HELD)
		return "held";
	if (r->attempts > 0)
		return "deferred";
	/* An answer without an attempt: its destination was known not to answer. */
	return r->state == RCPT_EXPAND && r->status[0] == '\0' ? "new" : "waiting";
}

static void
next_try(const struct listing *l, const struct msg_list_rcpt *r, char dst[TIME_AGE_SIZE])
{
	dst[0] = '\0';
	if (r->working || r->state >= RCPT_FAILED || (l->flags & IPC_FLAG_HELD))
		return;
	if (r->due_s <= l->ctl->now_s)
		memcpy(dst, "now", 4);
	else
		time_age(dst, r->due_s - l->ctl->now_s);
}

/* "3 tries: 4.7.1 mx.example.com: come back later" */
static void
put_answer(FILE *out, const struct msg_list_rcpt *r)
{
	if (r->attempts > 0)
		(void)fprintf(
		    out, "%" PRIu32 " %s: ", r->attempts, r->attempts == 1 ? "try" : "tries");
	if (r->status[0] != '\0')
		(void)fprintf(out, "%s ", r->status);
	if (r->remote[0] != '\0') {
		text_print_str(out, r->remote);
		(void)fputs(": ", out);
	}
	text_print_str(out, r->text);
	(void)fputc('\n', out);
}

/* -- JSON, for both -- */

/* What the sender asked for beyond delivery, by name: flags of a message, NOTIFY of a recipient. */
struct word {
	uint32_t bit;
	const char *word;
};

static const struct word wishes[] = {{IPC_FLAG_8BITMIME, "8bitmime"},
    {IPC_FLAG_BINARYMIME, "binarymime"}, {IPC_FLAG_SMTPUTF8, "smtputf8"},
    {IPC_FLAG_REQUIRETLS, "requiretls"}, {IPC_FLAG_AUTHENTICATED, "authenticated"},
    {IPC_FLAG_REPORT, "report"}};
static const struct word notices[] = {{IPC_NOTIFY_NEVER, "never"}, {IPC_NOTIFY_SUCCESS, "success"},
    {IPC_NOTIFY_FAILURE, "failure"}, {IPC_NOTIFY_DELAY, "delay"}};
static const char *const by_words[] = {"", "return", "notify"};

static void
json_words(struct json *j, const char *key, uint32_t bits, const struct word *words, size_t n)
{
	size_t i;

	json_array(j, key);
	for (i = 0; i < n; i++)
		if (bits & words[i].bit)
			json_str(j, NULL, words[i].word);
	json_array_end(j);
}

static void
json_message(struct json *j, const struct msg_list_message *m)
{
	char id[STR_ID_SIZE];

	str_id(id, m->id);
	json_object(j, NULL);
	json_str(j, "id", id);
	json_str(j, "sender", m->sender);
	json_str(j, "client", m->client);
	json_i64(j, "received", m->received_s);
	json_i64(j, "expires", m->expires_s);
	json_u64(j, "size", m->size_bytes);
	json_bool(j, "held", (m->flags & IPC_FLAG_HELD) != 0);
	json_words(j, "flags", m->flags, wishes, NITEMS(wishes));
	json_i64(j, "priority", m->priority);
	json_i64(j, "release", m->release_s);
	json_str(j, "by", by_words[m->by]);
	json_i64(j, "by_time", m->by_s);
	json_str(j, "envid", m->envid);
	json_str(j, "ret", m->ret);
	json_array(j, "recipients");
}

static void
json_rcpt(struct listing *l, const struct msg_list_rcpt *r)
{
	struct json *j = &l->json;

	json_object(j, NULL);
	json_str(j, "address", r->address);
	json_str(j, "original", r->original);
	json_str(j, "orcpt", r->orcpt);
	json_words(j, "notify", r->notify, notices, NITEMS(notices));
	json_str(j, "action", r->action);
	json_str(j, "destination", r->dest);
	json_str(j, "state", rcpt_word(l, r));
	json_i64(j, "due", r->due_s);
	json_u64(j, "attempts", r->attempts);
	json_str(j, "status", r->status);
	json_str(j, "remote", r->remote);
	json_str(j, "text", r->text);
	json_object_end(j);
}

static void
json_message_end(struct listing *l)
{
	if (!l->in_message)
		return;
	json_array_end(&l->json);
	json_object_end(&l->json);
	json_line_end(&l->json);
	l->in_message = false;
}

/* -- show queue -- */

static void
table_heading(struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-10s  %5s  %6s  %6s  %-8s  %s", "ID", "SIZE", "AGE", "NEXT",
	    "STATE", "SENDER, RECIPIENTS");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
table_message(const struct listing *l, const struct msg_list_message *m)
{
	char id[STR_ID_SIZE], size[TEXT_SIZE_MAX], age[TIME_AGE_SIZE];
	FILE *out = l->ctl->out;

	str_id(id, m->id);
	text_size(size, m->size_bytes);
	time_age(age, l->ctl->now_s - m->received_s);
	(void)fprintf(out, "%-10s  %5s  %6s  %6s  %-8s  <", id, size, age, "",
	    m->flags & IPC_FLAG_HELD ? "held" : "");
	text_print_str(out, m->sender);
	(void)fputs(">\n", out);
}

static void
table_rcpt(const struct listing *l, const struct msg_list_rcpt *r)
{
	char next[TIME_AGE_SIZE];
	FILE *out = l->ctl->out;

	next_try(l, r, next);
	(void)fprintf(out, "%-10s  %5s  %6s  %6s  %-8s  ", "", "", "", next, rcpt_word(l, r));
	text_print_str(out, r->address);
	(void)fputc('\n', out);
	if (r->text[0] != '\0') {
		(void)fprintf(out, "%12s", "");
		put_answer(out, r);
	}
}

static void
queue_message(struct listing *l, const struct msg_list_message *m)
{
	l->last_id = m->id;
	l->flags = m->flags;
	if (l->ctl->json) {
		json_message_end(l);
		json_message(&l->json, m);
		l->in_message = true;
	} else {
		if (l->nmessages == 0)
			table_heading(l->ctl);
		table_message(l, m);
	}
	l->nmessages++;
}

static bool
on_queue_answer(void *arg, enum message_type type, const union message *msg)
{
	struct listing *l = arg;

	if (type == MSG_list_message) {
		queue_message(l, &msg->list_message);
	} else if (type == MSG_list_rcpt && l->nmessages > 0) {
		l->nrcpts++;
		if (l->ctl->json)
			json_rcpt(l, &msg->list_rcpt);
		else
			table_rcpt(l, &msg->list_rcpt);
	} else if (type == MSG_list_end) {
		l->outcome = (enum ipc_outcome)msg->list_end.outcome;
		l->more = msg->list_end.more;
		return true;
	}
	return false;
}

static void
queue_summary(const struct listing *l)
{
	FILE *out = l->ctl->out;

	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->nmessages == 0) {
		(void)fputs("the queue is empty\n", out);
		return;
	}
	show_count(out, l->nmessages, "message");
	(void)fputs(", ", out);
	show_count(out, l->nrcpts, "recipient");
	(void)fputc('\n', out);
}

int
show_queue(struct ctl *ctl)
{
	struct listing l = {.ctl = ctl};
	int status;

	json_init(&l.json, ctl->out);
	do {
		struct msg_list m = {.after = l.last_id, .limit = PAGE_MESSAGES};

		l.more = false;
		status = client_ask(&ctl->client, MSG_list, &m, on_queue_answer, &l);
		if (status == EXIT_OK)
			status = client_outcome(l.outcome, "");
		/* A page that did not get on would be asked for without end. */
		l.more = l.more && l.last_id > m.after;
	} while (status == EXIT_OK && l.more && !ferror(ctl->out));
	json_message_end(&l);
	if (status == EXIT_OK)
		queue_summary(&l);
	return status;
}

/* -- show message -- */

static void
put_time(FILE *out, const char *label, int64_t when_s)
{
	time_t when = (time_t)when_s;
	char text[64] = "?";
	struct tm tm;

	if (localtime_r(&when, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm);
	(void)fprintf(out, "%-10s %s\n", label, text);
}

static void
page_message(const struct listing *l, const struct msg_list_message *m)
{
	char id[STR_ID_SIZE];
	FILE *out = l->ctl->out;

	str_id(id, m->id);
	(void)fprintf(
	    out, "%-10s %s%s\n", "Message", id, m->flags & IPC_FLAG_HELD ? " (held)" : "");
	(void)fprintf(out, "%-10s <", "Sender");
	text_print_str(out, m->sender);
	(void)fprintf(out, ">\n%-10s ", "Client");
	text_print_str(out, m->client);
	(void)fputc('\n', out);
	put_time(out, "Received", m->received_s);
	put_time(out, "Expires", m->expires_s);
	if (m->release_s != 0)
		put_time(out, "Not before", m->release_s);
	if (m->by != IPC_BY_NONE) {
		put_time(out, "Deliver by", m->by_s);
		(void)fprintf(out, "%-10s   or %s\n", "", by_words[m->by]);
	}
	if (m->priority != 0)
		(void)fprintf(out, "%-10s %d\n", "Priority", (int)m->priority);
	(void)fprintf(out, "%-10s %" PRIu64 " octets\n", "Size", m->size_bytes);
}

static void
page_rcpt(const struct listing *l, const struct msg_list_rcpt *r)
{
	char next[TIME_AGE_SIZE];
	FILE *out = l->ctl->out;

	next_try(l, r, next);
	(void)fprintf(out, "%-10s <", "Recipient");
	text_print_str(out, r->address);
	(void)fprintf(out, "> %s", rcpt_word(l, r));
	if (next[0] != '\0')
		(void)fprintf(out, ", next try: %s", next);
	(void)fputs(", action ", out);
	text_print_str(out, r->action);
	if (r->dest[0] != '\0') {
		(void)fputs(" to ", out);
		text_print_str(out, r->dest);
	}
	if (strcmp(r->original, r->address) != 0) {
		(void)fprintf(out, "\n%-10s   was <", "");
		text_print_str(out, r->original);
		(void)fputc('>', out);
	}
	(void)fputc('\n', out);
	if (r->text[0] != '\0') {
		(void)fprintf(out, "%-10s   ", "");
		put_answer(out, r);
	}
}

static bool
on_message_answer(void *arg, enum message_type type, const union message *msg)
{
	struct listing *l = arg;

	if (type == MSG_list_message && l->nmessages == 0) {
		l->nmessages++;
		l->flags = msg->list_message.flags;
		l->nchunks = msg->list_message.nchunks;
		if (l->ctl->json)
			json_message(&l->json, &msg->list_message);
		else
			page_message(l, &msg->list_message);
	} else if (type == MSG_list_rcpt && l->nmessages > 0) {
		if (l->ctl->json)
			json_rcpt(l, &msg->list_rcpt);
		else
			page_rcpt(l, &msg->list_rcpt);
	} else if (type == MSG_list_end) {
		l->outcome = (enum ipc_outcome)msg->list_end.outcome;
		return true;
	}
	return false;
}

/* A message's text, piece by piece; what a piece cuts in two waits for the next. */
struct reading {
	struct listing *listing;
	struct buf held;
	enum ipc_outcome outcome;
};

static void
put_text(struct reading *r, size_t len)
{
	const struct ctl *ctl = r->listing->ctl;

	if (ctl->json)
		json_text_add(&r->listing->json, buf_head(&r->held), len);
	else if (ctl->terminal)
		text_print(ctl->out, buf_head(&r->held), len, true);
	else
		(void)fwrite(buf_head(&r->held), 1, len, ctl->out);
	buf_consume(&r->held, len);
}

/* A CR is held too: whether an LF follows decides how a terminal shows it. */
static size_t
unfinished(const struct buf *b)
{
	size_t n = utf8_unfinished(buf_head(b), b->len);

	return n == 0 && b->len > 0 && buf_head(b)[b->len - 1] == '\r' ? 1 : n;
}

static bool
on_read_answer(void *arg, enum message_type type, const union message *msg)
{
	struct reading *r = arg;

	if (type != MSG_read_data)
		return false;
	r->outcome = (enum ipc_outcome)msg->read_data.outcome;
	if (r->outcome == IPC_OK &&
	    buf_append(&r->held, msg->read_data.data.data, msg->read_data.data.len) == -1)
		r->outcome = IPC_RETRY;
	if (r->outcome == IPC_OK)
		put_text(r, r->held.len - unfinished(&r->held));
	return true;
}

static int
put_body(struct listing *l)
{
	struct ctl *ctl = l->ctl;
	struct reading r = {.listing = l};
	int status = EXIT_OK;
	uint32_t seq;

	buf_init(&r.held, IPC_CHUNK_MAX + 4);
	for (seq = 0; seq < l->nchunks && status == EXIT_OK && !ferror(ctl->out); seq++) {
		struct msg_read m = {.id = ctl->id, .seq = seq};

		status = client_ask(&ctl->client, MSG_read, &m, on_read_answer, &r);
		if (status == EXIT_OK)
			status = client_outcome(r.outcome, "");
	}
	if (r.held.len > 0)
		put_text(&r, r.held.len);
	buf_free(&r.held);
	return status;
}

int
show_message(struct ctl *ctl)
{
	struct listing l = {.ctl = ctl};
	struct msg_get m = {.id = ctl->id};
	int status;

	json_init(&l.json, ctl->out);
	status = client_ask(&ctl->client, MSG_get, &m, on_message_answer, &l);
	if (status == EXIT_OK)
		status = client_outcome(l.outcome, "");
	if (status == EXIT_OK && l.nmessages == 0)
		status = client_outcome(IPC_GONE, "");
	if (status != EXIT_OK)
		return status;
	if (ctl->json) {
		json_array_end(&l.json);
		json_text(&l.json, "text");
	} else {
		(void)fputc('\n', ctl->out);
	}
	status = put_body(&l);
	if (ctl->json) {
		json_text_end(&l.json);
		json_object_end(&l.json);
		json_line_end(&l.json);
	}
	return status;
}
