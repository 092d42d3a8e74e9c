/* SPDX-License-Identifier: ISC */
#ifndef LIB_IPC_CHANNEL_PRIVATE_H
#define LIB_IPC_CHANNEL_PRIVATE_H

#include <event2/util.h>
#include <sys/queue.h>

#include "lib/ipc/channel.h"

/* The inside of a channel, for channel.c (life, what comes in) and channel_out.c. */
#define IN_FDS_MAX 8		       /* descriptors received ahead of their frames */
#define READ_SIZE  (MSG_FRAME_MAX * 2) /* octets held for one peer */

struct out_fd { /* owned by its channel */
	TAILQ_ENTRY(out_fd) entry;
	uint64_t at; /* octet of the stream it travels with */
	int fd;
};

struct channel {
	int fd;
	enum role peer;
	uint32_t instance;
	const struct channel_rules *rules;
	void *ctx, *tag;
	struct event *readable, *writable;
	struct buf in, out;
	uint64_t sent; /* octets of the stream that left */
	TAILQ_HEAD(out_fds_head, out_fd) out_fds;
	int in_fds[IN_FDS_MAX];
	size_t nin_fds;
	unsigned int depth; /* callbacks under way */
	bool closed, freed, high, pending, paused, rejected;
	bool full; /* the peer does not read: it is cut off from the loop, not inside a sender */
};

void channel_enter(struct channel *ch); /* around callbacks: nothing is freed meanwhile */
void channel_leave(struct channel *ch);
void channel_on_writable(evutil_socket_t sock, short what, void *arg);

#endif
