/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SPOOL_FIXTURE_H
#define TESTS_UNIT_SPOOL_FIXTURE_H

/*
 * What the spool's tests share: a directory, messages with bodies that can be
 * checked, dones that remember, a snapshot of what is in the spool.
 * A header of static functions, since each test is one program of one file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "queue/spool.h"

#define NOW	1750000000
#define PENDING (-1)
#define UNUSED	__attribute__((unused))

static char fixture_dir[64];

static UNUSED void
fixture_quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	if (getenv("SPOOL_TEST_LOG") != NULL)
		(void)fprintf(stderr, "%d %s\n", (int)level, line);
}

static UNUSED void
fixture_wipe(void)
{
	static const char *const files[] = {"/spool.db", "/spool.db-wal", "/spool.db-journal"};
	char path[128];
	size_t i;

	for (i = 0; i < NITEMS(files); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", fixture_dir, files[i]);
		(void)unlink(path);
	}
}

static UNUSED int
fixture_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	log_set_sink(fixture_quiet, NULL);
	(void)snprintf(
	    fixture_dir, sizeof(fixture_dir), "%.40s/spoolXXXXXX", tmp == NULL ? "/tmp" : tmp);
	return mkdtemp(fixture_dir) == NULL ? -1 : 0;
}

static UNUSED int
fixture_teardown(void **state)
{
	(void)state;
	fixture_wipe();
	return rmdir(fixture_dir);
}

static UNUSED struct spool *
fixture_open_sqlite(void)
{
	struct spool_options o = {.directory = fixture_dir};

	return spool_open(&o, NOW);
}

/* A done that remembers: *arg is PENDING until it is called, once. */
static UNUSED void
on_done(void *arg, int error)
{
	int *result = arg;

	assert_int_equal(*result, PENDING);
	*result = error;
}

/* Byte i of the body of message id: a pattern that no other message or place has. */
static UNUSED uint8_t
body_byte(uint64_t id, size_t i)
{
	return (uint8_t)((id * 2654435761U + i * 31 + (i >> 8) * 7) >> 3);
}

static UNUSED size_t
trace_make(uint64_t id, char *trace, size_t size)
{
	return (size_t)snprintf(
	    trace, size, "Received: by test id %llx\r\n", (unsigned long long)id);
}

/* Appends size octets in pieces of at most step. */
static UNUSED int
body_append(struct spool *s, uint64_t id, size_t size, size_t step)
{
	static uint8_t piece[SPOOL_CHUNK_MAX];
	size_t at, n, i;
	uint32_t seq = 1;

	for (at = 0; at < size; at += n, seq++) {
		n = size - at < step ? size - at : step;
		for (i = 0; i < n; i++)
			piece[i] = body_byte(id, at + i);
		if (spool_append(s, id, seq, (struct span){piece, n}) == -1)
			return -1;
	}
	return 0;
}

static UNUSED struct spool_message
message_make(uint64_t id)
{
	return (struct spool_message){.id = id,
	    .sender = "alice@example.org",
	    .envid = "E1",
	    .ret = "HDRS",
	    .client = "[192.0.2.1] helo.example",
	    .flags = SPOOL_8BITMIME,
	    .received_s = NOW,
	    .expires_s = NOW + 432000};
}

static UNUSED struct spool_rcpt
rcpt_make(const char *address)
{
	return (struct spool_rcpt){.state = SPOOL_EXPAND,
	    .address = address,
	    .original = address,
	    .orcpt = "rfc822;x@example.net",
	    .action = "local",
	    .user = "",
	    .dest = "example.net",
	    .notify = 3,
	    .due_s = NOW,
	    .status = "",
	    .text = "",
	    .remote = ""};
}

/* Finishes message id for the given addresses; the done's result arrives in *result. */
static UNUSED void
message_finish(struct spool *s, uint64_t id, const char *const *to, size_t n, int *result)
{
	struct spool_message m = message_make(id);
	struct spool_rcpt r[8];
	char trace[64];
	size_t i, len = trace_make(id, trace, sizeof(trace));

	for (i = 0; i < n && i < NITEMS(r); i++)
		r[i] = rcpt_make(to[i]);
	*result = PENDING;
	spool_finish(s, &m, (struct span){(uint8_t *)trace, len}, r, n, on_done, result);
}

static UNUSED uint64_t
message_put(struct spool *s, size_t size, const char *const *to, size_t n, int *result)
{
	uint64_t id = 0;

	assert_int_equal(spool_begin(s, NOW, size, &id), 0);
	assert_int_equal(body_append(s, id, size, SPOOL_CHUNK_MAX), 0);
	message_finish(s, id, to, n, result);
	return id;
}

/* Compares a body as it comes: trace first, then the pattern. */
struct body_check {
	uint64_t id;
	size_t at, trace_len;
	char trace[64];
	bool good;
};

static UNUSED void
on_chunk(void *arg, struct span data)
{
	struct body_check *c = arg;
	size_t i;

	for (i = 0; i < data.len; i++, c->at++)
		if (data.data[i] != (c->at < c->trace_len ? (uint8_t)c->trace[c->at]
							  : body_byte(c->id, c->at - c->trace_len)))
			c->good = false;
}

/* True when message id is whole: all chunks there, and of size octets. */
static UNUSED bool
body_is_whole(struct spool *s, uint64_t id, uint32_t nchunks, uint64_t size)
{
	struct body_check c = {.id = id, .good = true};
	uint32_t seq;

	c.trace_len = trace_make(id, c.trace, sizeof(c.trace));
	for (seq = 0; seq < nchunks; seq++)
		if (spool_read(s, id, seq, on_chunk, &c) == -1)
			return false;
	return c.good && c.at == size;
}

/* A copy of what spool_list(), spool_get() or spool_due() showed. */
#define SNAP_MAX 4096
struct snap {
	size_t nmessages, nrcpts;
	struct {
		uint64_t id, size;
		uint32_t nchunks;
		unsigned int flags;
		int priority;
		int64_t expires_s, release_s, by_s;
		enum ipc_by by;
		bool by_trace;
		char sender[64], client[64], envid[SPOOL_ENVID_MAX + 1], ret[SPOOL_RET_MAX + 1];
	} m[SNAP_MAX];
	struct {
		uint64_t key;
		enum spool_state state;
		int64_t due_s;
		uint32_t attempts;
		unsigned int notify;
		char address[64], original[64], orcpt[64], action[32], dest[64], status[32],
		    text[64];
	} r[SNAP_MAX];
};

static UNUSED void
on_visit(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct snap *t = arg;

	if (r == NULL) {
		assert_true(t->nmessages < SNAP_MAX);
		t->m[t->nmessages].id = m->id;
		t->m[t->nmessages].size = m->size_bytes;
		t->m[t->nmessages].nchunks = m->nchunks;
		t->m[t->nmessages].flags = m->flags;
		t->m[t->nmessages].priority = m->priority;
		t->m[t->nmessages].expires_s = m->expires_s;
		t->m[t->nmessages].release_s = m->release_s;
		t->m[t->nmessages].by = m->by;
		t->m[t->nmessages].by_s = m->by_s;
		t->m[t->nmessages].by_trace = m->by_trace;
		(void)snprintf(t->m[t->nmessages].envid, SPOOL_ENVID_MAX + 1, "%s", m->envid);
		(void)snprintf(t->m[t->nmessages].ret, SPOOL_RET_MAX + 1, "%s", m->ret);
		(void)snprintf(t->m[t->nmessages].sender, 64, "%s", m->sender);
		(void)snprintf(t->m[t->nmessages].client, 64, "%s", m->client);
		t->nmessages++;
		return;
	}
	assert_int_equal(SPOOL_KEY_MESSAGE(r->key), m->id);
	assert_true(t->nrcpts < SNAP_MAX);
	t->r[t->nrcpts].key = r->key;
	t->r[t->nrcpts].state = r->state;
	t->r[t->nrcpts].due_s = r->due_s;
	t->r[t->nrcpts].attempts = r->attempts;
	t->r[t->nrcpts].notify = r->notify;
	(void)snprintf(t->r[t->nrcpts].orcpt, 64, "%s", r->orcpt);
	(void)snprintf(t->r[t->nrcpts].address, 64, "%s", r->address);
	(void)snprintf(t->r[t->nrcpts].original, 64, "%s", r->original);
	(void)snprintf(t->r[t->nrcpts].action, 32, "%s", r->action);
	(void)snprintf(t->r[t->nrcpts].dest, 64, "%s", r->dest);
	(void)snprintf(t->r[t->nrcpts].status, 32, "%s", r->status);
	(void)snprintf(t->r[t->nrcpts].text, 64, "%s", r->text);
	t->nrcpts++;
}

static UNUSED struct snap *
snap_list(struct spool *s)
{
	static struct snap t;

	t.nmessages = t.nrcpts = 0;
	assert_int_equal(spool_list(s, 0, SNAP_MAX, SNAP_MAX, on_visit, &t), 0);
	return &t;
}

static UNUSED struct snap *
snap_due(struct spool *s, int64_t now_s, size_t limit, spool_skip skip)
{
	static struct snap t;

	t.nmessages = t.nrcpts = 0;
	assert_int_equal(spool_due(s, now_s, limit, skip, on_visit, &t), 0);
	return &t;
}

#endif
