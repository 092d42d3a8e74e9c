/* SPDX-License-Identifier: ISC */
#ifndef LIB_IPC_CHANNEL_H
#define LIB_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/message.h"

struct event_base;

/*
 * A stream socket to one other process.  Frames go out in order, gathered
 * until channel_flush(); what comes in is decoded, checked against the
 * permission table and handed to the role's handler for that message.
 * A peer that breaks the protocol is logged and cut off: on_close follows.
 */
struct channel;

/* msg is the struct of the type; fd is -1 unless the row says FD, and then the handler's to close. */
typedef void (*channel_handler)(void *ctx, struct channel *ch, const union message *msg, int fd);

struct channel_rules {
	enum role self;
	const channel_handler *handlers; /* MSG__MAX of them, by designated initialiser */
	void (*on_close)(void *ctx, struct channel *ch); /* the channel is the callee's to free */
	/* true: more than the high mark waits to go out; false: below the low mark again. */
	void (*on_pressure)(void *ctx, struct channel *ch, bool high); /* may be NULL */
	/* Told of each channel that has something to flush; may be NULL: flushed at once. */
	void (*on_pending)(void *ctx, struct channel *ch);
};

#define CHANNEL_HIGH (512U << 10) /* octets waiting at which a sender should pause */
#define CHANNEL_LOW  (128U << 10)
#define CHANNEL_MAX  (16U << 20) /* a peer that lets this much pile up is dead to us */

/* Takes fd over.  NULL with errno; fd is then still the caller's. */
struct channel *channel_create(struct event_base *base, int fd, enum role peer, uint32_t instance,
    const struct channel_rules *rules) WARN_UNUSED;
void channel_set_context(struct channel *ch, void *ctx); /* first argument of every callback */
void *channel_context(const struct channel *ch);
void channel_set_tag(struct channel *ch, void *tag); /* whatever its owner wants to find again */
void *channel_tag(const struct channel *ch);
void channel_free(struct channel *ch); /* NULL is fine; safe inside its own callbacks */

enum role channel_peer(const struct channel *ch);
uint32_t channel_instance(const struct channel *ch);

/*
 * Sends msg (a struct msg_<name>).  A descriptor is taken over in any case.
 * -1: the message breaks its bounds (EINVAL), or the channel is closed or full (EPIPE).
 * No callback but on_pressure and on_pending is called from inside.
 * A caller that will hear of the peer's death by on_close may ignore that with (void).
 */
int channel_send(struct channel *ch, enum message_type type, const void *msg);
int channel_send_fd(struct channel *ch, enum message_type type, const void *msg, int fd);
void channel_flush(struct channel *ch);
size_t channel_pending_bytes(const struct channel *ch);
/* Stops and resumes reading and handing over: back-pressure towards the peer. */
void channel_pause(struct channel *ch, bool paused);
/* From inside a handler: is there more behind the message in hand? */
bool channel_has_more(const struct channel *ch);

/* The peer is dead: hands over what it still wrote.  May end in on_close. */
void channel_drain(struct channel *ch);
/* Was it cut off by channel_reject(), rather than closed by the peer? */
bool channel_is_rejected(const struct channel *ch);

/* A handler found that the peer lies: logs why and cuts it off. */
void channel_reject(struct channel *ch, const char *why);

#endif
