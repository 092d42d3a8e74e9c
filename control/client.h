/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/ipc/message.h"

/* How smtpctl ends; smtpctl(8) promises these. */
enum {
	EXIT_OK = 0,
	EXIT_REFUSED = 1, /* no such message, not allowed, output not written */
	EXIT_USAGE = 2,
	EXIT_WEAKER = 3,   /* a process has more rights than declared */
	EXIT_ALARM = 3,	   /* somebody's consent is missing, or something is wrong with it */
	EXIT_TEMPFAIL = 75 /* the server can't be reached, or can't just now */
};

/*
 * The admin socket from the other end: one blocking connection, made when the
 * first question is asked, and made again when the server closed it meanwhile.
 */
struct client {
	const char *path; /* the caller's */
	int fd;		  /* -1: not connected */
	unsigned int
	    wait_s; /* for an answer; longer than the server itself waits for any process */
	uint32_t req;
	struct buf in, out;
};

/* Called with each answer, done excepted; true: that was the last. */
typedef bool (*client_answer)(void *arg, enum message_type type, const union message *msg);

void client_init(struct client *c, const char *path);
void client_free(struct client *c);
/*
 * Asks, and hands over the answers until the last, or done.  The exit status;
 * when it is not EXIT_OK, stderr has been told why.
 */
int client_ask(struct client *c, enum message_type question, void *msg, client_answer on_answer,
    void *arg) WARN_UNUSED;
/* The exit status for an outcome; says text, or words of its own when it is "", unless all is well. */
int client_outcome(enum ipc_outcome outcome, const char *text);

#endif
