/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_IO_PRIVATE_H
#define LIB_NET_IO_PRIVATE_H

#include <sys/types.h>

#include "lib/net/io.h"

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
