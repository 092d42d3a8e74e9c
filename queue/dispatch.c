/* SPDX-License-Identifier: ISC */
/* What other programs ask of the queue.  Permission was checked by the message table. */
#include "lib/base/log.h"
#include "queue/queue.h"

#define HANDLER(name, call)                                                                    \
	static void on_##name(void *ctx, struct channel *ch, const union message *msg, int fd) \
	{                                                                                      \
		(void)fd;                                                                      \
		call(ctx, ch, &msg->name);                                                     \
	}

HANDLER(mail_begin, receive_begin)
HANDLER(mail_rcpt, receive_rcpt)
HANDLER(mail_chunk, receive_chunk)
HANDLER(mail_commit, receive_commit)
HANDLER(verdict, job_verdict)
HANDLER(chunk_get, job_chunk)
HANDLER(list, admin_list)
HANDLER(get, admin_get)
HANDLER(read, admin_read)
HANDLER(change, admin_change)
HANDLER(tls_seen, tls_saw)
HANDLER(tls_domains, tls_list)
HANDLER(tls_forget, admin_tls_forget)

static void
on_mail_abort(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	receive_abort(ctx, ch, msg->req);
}

static void
on_expand_item(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	struct work *w = ask_owner(service_asks(p->service), ch, msg->req);

	(void)fd;
	if (w != NULL)
		expand_item(w, &msg->expand_item);
}

static void
on_expand_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	struct work *w = ask_owner(service_asks(p->service), ch, msg->req);

	(void)fd;
	if (w != NULL)
		expand_end(w, &msg->expand_end);
}

static void
on_pause(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;

	(void)ch;
	(void)fd;
	if (msg->pause.what != IPC_PAUSE_DELIVERY)
		return;
	p->paused = msg->pause.on;
	p->more_due = true;
}

const channel_handler queue_handlers[MSG__MAX] = {
    [MSG_mail_begin] = on_mail_begin,
    [MSG_mail_rcpt] = on_mail_rcpt,
    [MSG_mail_chunk] = on_mail_chunk,
    [MSG_mail_commit] = on_mail_commit,
    [MSG_mail_abort] = on_mail_abort,
    [MSG_expand_item] = on_expand_item,
    [MSG_expand_end] = on_expand_end,
    [MSG_verdict] = on_verdict,
    [MSG_chunk_get] = on_chunk_get,
    [MSG_pause] = on_pause,
    [MSG_list] = on_list,
    [MSG_get] = on_get,
    [MSG_read] = on_read,
    [MSG_change] = on_change,
    [MSG_tls_seen] = on_tls_seen,
    [MSG_tls_domains] = on_tls_domains,
    [MSG_tls_forget] = on_tls_forget,
};
