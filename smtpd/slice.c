/* SPDX-License-Identifier: ISC */
/*
 * To each its part of smtpd.conf, and the way there: what is read for it, the text,
 * the word that it is whole, and then the files that the text names.  A table may be larger
 * than a channel holds, so that what does not fit waits until there is room.
 *
 * Invariant: the order.  A reload begins anew with those that it finds on the way.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

static int
send_text(struct child *c, const struct buf *text)
{
	struct msg_conf_end end = {.generation = c->smtpd->generation};
	size_t at, n;

	for (at = 0; at < text->len; at += n) {
		struct msg_conf_text m;

		n = text->len - at < IPC_CHUNK_MAX ? text->len - at : IPC_CHUNK_MAX;
		m = (struct msg_conf_text){.text = {buf_head(text) + at, n}};
		if (channel_send(c->ch, MSG_conf_text, &m) == -1)
			return -1;
	}
	return channel_send(c->ch, MSG_conf_end, &end);
}

static int
send_conf(struct child *c)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, CONF_TEXT_MAX);
	if (conf_dump(c->smtpd->conf, c->row->conf, &text) == 0)
		rc = send_text(c, &text);
	buf_free(&text);
	return rc;
}

/* The next piece of a file, the next file, or what comes after the last. */
static int
send_more(struct child *c)
{
	struct feed *f = &c->feed;
	struct secret_file file;

	if (f->fd != -1)
		return secrets_go_on(c);
	if (secrets_next(c->smtpd, c->row->role, &f->next, &file))
		return secrets_begin(c, &file);
	f->active = false;
	c->has_files = true;
	if (send_conf(c) == -1)
		return -1;
	if (!f->tables_only)
		files_send(c);
	return child_configured(c);
}

static int
send_what_fits(struct child *c)
{
	/* Above the mark the channel tells when it is below it again. */
	while (c->feed.active && channel_pending_bytes(c->ch) <= CHANNEL_HIGH)
		if (send_more(c) == -1) {
			slice_stop(c);
			return -1;
		}
	return 0;
}

static void
on_room(evutil_socket_t sock, short what, void *arg)
{
	struct child *c = arg;

	(void)sock;
	(void)what;
	if (c->ch == NULL || send_what_fits(c) == 0)
		return;
	log_warn("event=not-configured process=%s error=\"%s\"", child_name(c), strerror(errno));
	child_condemn(c);
}

/* From the loop's top: the channel is busy when it calls this. */
void
slice_on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct child *c = ctx;

	(void)ch;
	if (!high && c->feed.active)
		event_active(c->feed.more, EV_TIMEOUT, 0);
}

static int
feed_begin(struct child *c, bool tables_only)
{
	struct feed *f = &c->feed;

	slice_stop(c);
	if (f->more == NULL && (f->more = event_new(c->smtpd->base, -1, 0, on_room, c)) == NULL)
		return -1;
	if (c->row->role == ROLE_VAULT)
		seal_prepare(c->smtpd);
	f->next = 0;
	f->tables_only = tables_only;
	f->active = true;
	return 0;
}

int
slice_send(struct child *c)
{
	return feed_begin(c, false) == -1 ? -1 : send_what_fits(c);
}

int
slice_send_tables(struct child *c)
{
	return feed_begin(c, true) == -1 ? -1 : send_what_fits(c);
}

void
slice_stop(struct child *c)
{
	/* Its receiver must not take the next file's octets for more of this one. */
	if (c->feed.fd != -1)
		(void)secrets_give_up(c);
	c->feed.active = false;
}
