/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_IO_PRIVATE_H
#define LIB_NET_IO_PRIVATE_H

#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/net/io.h"

struct event;
struct io_transport;

struct io { /* owned by a session, or a client connection */
	int fd;
	const struct io_callbacks *callbacks;
	void *arg;
	const struct io_transport *transport;
	struct tls *tls;
	struct event *readable, *writable;
	struct buf in, out;
	struct buf raw; /* read from the socket, for libtls to take */
	int64_t timeout_ms;
	size_t line_len; /* of the line handed out by io_line(), CRLF included */
	size_t scanned;	 /* octets of in known to hold no CRLF */
	int error;
	unsigned int depth, corked;
	bool freed, ended, paused, handshaking, armed_read, armed_write;
	bool eof;	     /* the peer will say nothing more */
	bool broken;	     /* a write failed: to be ended from the loop */
	bool kicked;	     /* on_input is due though nothing new came */
	bool write_reads;    /* what is unsent waits until something can be read (TLS) */
	bool read_writes;    /* nothing more is read until something can be written (TLS) */
	int64_t progress_ms; /* when an octet of the peer's, or one of ours, last got through TLS */
	bool unread; /* the transport may have octets that no event of the socket will tell of */
};

/*
 * What moves the bytes: the socket itself, or TLS over it (io_tls.c).
 * read and write answer as the system calls do, with EAGAIN to wait for the
 * direction in *want (EV_READ or EV_WRITE); 0 from read is the end.
 */
struct io_transport {
	ssize_t (*read)(struct io *io, void *p, size_t n, short *want);
	ssize_t (*write)(struct io *io, const void *p, size_t n, short *want);
	int (*handshake)(struct io *io, short *want); /* 0 when up; NULL: nothing to do */
	void (*close)(struct io *io);
};

void io_set_transport(struct io *io, const struct io_transport *transport, struct tls *tls);

#endif
