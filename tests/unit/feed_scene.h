/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_FEED_SCENE_H
#define TESTS_UNIT_FEED_SCENE_H

/*
 * The parent and one process of it, which is the test itself: files, a
 * configuration that names them, a channel between the two, and a journal of what
 * the process heard.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "smtpd/smtpd.h"

#define FRAME_MAX (IPC_CHUNK_MAX + 4096)

struct scene {
	char dir[64];
	struct smtpd d;
	struct child *child;
	struct channel_rules its_rules;
	struct channel *its; /* the process's end; NULL until it listens */
	int its_fd;
	const char *extra;  /* of the configuration, with the vault's paths; NULL: nothing */
	char journal[4096]; /* what it heard */
	size_t octets;	    /* of the file at hand */
	struct buf small;   /* its beginning */
};

static const char *const kind_words[IPC_DATA__MAX] = {
    "cert", "key", "ocsp", "ca", "table", "sealkey", "sealed", "oauthkey"};

static inline void note(struct scene *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline void
note(struct scene *s, const char *fmt, ...)
{
	size_t n = strlen(s->journal);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->journal + n, sizeof(s->journal) - n, fmt, ap);
	va_end(ap);
}

/* "key:a=12 " and, of what is short, the text. */
static inline void
on_file_data(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_file_data *m = &msg->file_data;
	struct scene *s = ctx;

	(void)ch;
	(void)fd;
	s->octets += m->data.len;
	if (s->octets <= 16)
		assert_int_equal(buf_append(&s->small, m->data.data, m->data.len), 0);
	if (!m->last)
		return;
	note(s, "%s:%s=", kind_words[m->kind], m->name);
	if (m->data.len == 0)
		note(s, "none ");
	else if (s->octets <= 16)
		note(s, "%.*s ", (int)s->small.len, (const char *)buf_head(&s->small));
	else
		note(s, "%zu ", s->octets);
	s->octets = 0;
	buf_free(&s->small);
}

static inline void
on_conf_text(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)ch;
	(void)fd;
	assert_true(msg->conf_text.text.len > 0);
}

static inline void
on_conf_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	note(ctx, "conf%u ", msg->conf_end.generation);
}

static inline void
on_lock(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
	note(ctx, "lock ");
}

static inline void
on_other(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	if (fd != -1)
		(void)close(fd);
}

/* "sealed:0 " */
static inline void
on_sealed(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	note(ctx, "sealed:%u%s ", msg->sealed.outcome, msg->sealed.text);
}

static const channel_handler its_handlers[MSG__MAX] = {
    [MSG_file_data] = on_file_data,
    [MSG_conf_text] = on_conf_text,
    [MSG_conf_end] = on_conf_end,
    [MSG_lock] = on_lock,
    [MSG_sealed] = on_sealed,
    [MSG_file] = on_other,
    [MSG_listen_clear] = on_other,
    [MSG_listen] = on_other,
};

static inline void
on_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	fail_msg("a channel was closed");
}

/* -- files -- */

static inline const char *
path_of(const struct scene *s, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return path;
}

static inline void
file_put(const struct scene *s, const char *name, const char *text)
{
	FILE *fp = fopen(path_of(s, name), "w");

	assert_non_null(fp);
	(void)fputs(text, fp);
	assert_int_equal(fclose(fp), 0);
	assert_return_code(chmod(path_of(s, name), 0600), errno);
}

static inline void
file_put_zeros(const struct scene *s, const char *name, off_t size)
{
	file_put(s, name, "");
	assert_return_code(truncate(path_of(s, name), size), errno);
}

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* -- the scene -- */

static inline void
configure(struct scene *s)
{
	struct conf_errors errors;
	const char *d = s->dir;
	char text[4096];
	int n;

	n = snprintf(text, sizeof(text),
	    "pki a cert \"%s/a.crt\"\npki a key \"%s/a.key\"\npki a ocsp \"%s/a.ocsp\"\n"
	    "pki b cert \"%s/b.crt\"\npki b key \"%s/b.key\"\n"
	    "ca clients cert \"%s/ca.crt\"\ntable open \"%s/open\"\ntable secret \"%s/secret\"\n"
	    "listen on 127.0.0.1 port 587 tls-require pki a pki b ca clients auth <secret>\n"
	    "action out relay\nmatch from src <open> for any action out\n",
	    d, d, d, d, d, d, d, d);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	if (s->extra != NULL)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "vault directory \"%s/v/w\"\n"
		    "vault key \"%s/vault.key\"\n%s",
		    d, d, s->extra);
	assert_true((size_t)n < sizeof(text));
	conf_free(s->d.conf);
	s->d.conf = conf_parse_text("test", text, (size_t)n, &errors);
	if (s->d.conf == NULL)
		fail_msg("line %u: %s", errors.list[0].line, errors.list[0].text);
	conf_errors_free(&errors);
	s->d.generation++;
}

static inline void
write_all(const struct scene *s)
{
	static const char *const names[] = {
	    "a.crt", "a.key", "a.ocsp", "b.crt", "b.key", "ca.crt", "open", "secret"};
	size_t i;

	for (i = 0; i < NITEMS(names); i++)
		file_put(s, names[i], names[i]);
}

static inline void
scene_make(struct scene *s, enum role role)
{
	int sv[2];

	memset(s, 0, sizeof(*s));
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/postern-feed-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	buf_init(&s->small, 64);
	write_all(s);
	s->d = (struct smtpd){.base = event_base_new(), .admin.fd = -1};
	s->d.rules = (struct channel_rules){.self = ROLE_PARENT,
	    .handlers = smtpd_handlers,
	    .on_close = on_close,
	    .on_pressure = slice_on_pressure};
	s->its_rules = (struct channel_rules){
	    .self = role, .handlers = its_handlers, .on_close = on_close};
	TAILQ_INIT(&s->d.children);
	configure(s);
	assert_return_code(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), errno);
	assert_non_null(s->child = child_create(&s->d, role_row(role), 0));
	s->child->ch = channel_create(s->d.base, sv[0], role, 0, &s->d.rules);
	assert_non_null(s->child->ch);
	channel_set_context(s->child->ch, s->child);
	s->its_fd = sv[1];
}

/* The process hears all that there is to hear. */
static inline void
hear(struct scene *s)
{
	int rounds;

	if (s->its == NULL) {
		s->its = channel_create(s->d.base, s->its_fd, ROLE_PARENT, 0, &s->its_rules);
		assert_non_null(s->its);
		channel_set_context(s->its, s);
	}
	for (rounds = 0; rounds < 20000 && s->d.generation > 0; rounds++) {
		assert_int_not_equal(event_base_loop(s->d.base, EVLOOP_NONBLOCK), -1);
		if (!s->child->feed.active && channel_pending_bytes(s->child->ch) == 0 &&
		    rounds > 4)
			return;
	}
	fail_msg("no end: %s", s->journal);
}

static inline void
scene_free(struct scene *s)
{
	child_free(s->child);
	if (s->its != NULL)
		channel_free(s->its);
	else
		(void)close(s->its_fd);
	conf_free(s->d.conf);
	event_base_free(s->d.base);
	buf_free(&s->small);
	(void)nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void
expect(struct scene *s, const char *journal)
{
	hear(s);
	assert_string_equal(s->journal, journal);
	s->journal[0] = '\0';
}

#endif
