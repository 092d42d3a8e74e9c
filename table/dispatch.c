/* SPDX-License-Identifier: ISC */
/*
 * What reaches a program of tables, and where it goes: small files, the
 * configuration that names the tables, questions.
 *
 * Invariants: a table is opened anew only when its small file changed, so that a
 * reload does not disturb what is under way; a file that is wrong is logged, and
 * changes nothing: a table that never had another is in trouble, and says why.  Passwords are the vault's alone.  Nothing a peer or a server says
 * is fatal.
 */
#include "table/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/database.h"

struct staged { /* owned by struct frame */
	TAILQ_ENTRY(staged) entry;
	char name[CONF_NAME_MAX + 1];
	size_t len; /* DATABASE_TEXT_MAX + 1: longer than a small file may be */
	char text[DATABASE_TEXT_MAX + 1];
};

void
frame_init(struct frame *f)
{
	TAILQ_INIT(&f->tables);
	TAILQ_INIT(&f->staged);
	questions_init(&f->questions);
}

/* -- small files -- */

static void
staged_free(struct frame *f, struct staged *s)
{
	TAILQ_REMOVE(&f->staged, s, entry);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static int
read_text(int fd, struct staged *s)
{
	ssize_t n = 0;

	while (s->len < sizeof(s->text) &&
	       (n = read(fd, s->text + s->len, sizeof(s->text) - s->len)) > 0)
		s->len += (size_t)n;
	return n == -1 ? -1 : 0;
}

static struct staged *
staged_read(struct frame *f, const char *name, int fd)
{
	struct staged *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	TAILQ_INSERT_HEAD(&f->staged, s, entry); /* of two with one name this one counts */
	if (str_copy(s->name, sizeof(s->name), name) == 0 && read_text(fd, s) == 0)
		return s;
	staged_free(f, s);
	return NULL;
}

/* -- tables -- */

static void
table_close(struct frame *f, struct table *t)
{
	questions_drop(&f->questions, t, NULL, "the table is being configured");
	if (t->backend != NULL)
		the_backend.close(t->backend);
	t->backend = NULL;
	if (t->text != NULL)
		explicit_bzero(t->text, t->len);
	free(t->text);
	t->text = NULL;
}

static void
table_free(struct frame *f, struct table *t)
{
	table_close(f, t);
	TAILQ_REMOVE(&f->tables, t, entry);
	free(t);
}

static struct table *
table_find(struct frame *f, const char *name)
{
	struct table *t;

	TAILQ_FOREACH (t, &f->tables, entry)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

static struct table *
table_add(struct frame *f, const char *name)
{
	struct table *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("event=no-memory");
	str_cut(t->name, sizeof(t->name), name);
	str_cut(t->why, sizeof(t->why), "its configuration did not arrive");
	TAILQ_INSERT_TAIL(&f->tables, t, entry);
	return t;
}

static void
log_refused(const struct table *t)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "table-not-configured");
	logline_str(&l, "table", t->name);
	logline_str(&l, "error", t->why);
	logline_str(&l, "meanwhile", t->backend == NULL ? "in trouble" : "as it was");
	logline_end(&l);
}

static void
table_open(struct frame *f, struct table *t, const struct staged *s)
{
	struct backend_setup setup = {
	    .name = t->name, .base = service_base(f->service), .now_ms = time_mono_ms()};
	struct backend_table *fresh;

	if (t->text != NULL && t->len == s->len && memcmp(t->text, s->text, s->len) == 0)
		return;
	setup.text = s->text;
	setup.len = s->len;
	if ((fresh = the_backend.open(&setup, t->why)) == NULL) {
		log_refused(t);
		return;
	}
	table_close(f, t);
	t->backend = fresh;
	if ((t->text = malloc(s->len + 1)) == NULL)
		fatal("event=no-memory");
	memcpy(t->text, s->text, s->len);
	t->len = s->len;
}

/* One that is known has it at once: `smtpctl update table` sends no configuration after it. */
static void
on_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct frame *f = ctx;
	struct staged *s = kind == IPC_FILE_TABLE ? staged_read(f, name, fd) : NULL;
	struct table *t;

	(void)close(fd);
	if (s == NULL)
		log_warn("event=file-not-read for=table");
	else if ((t = table_find(f, name)) != NULL) {
		table_open(f, t, s);
		staged_free(f, s);
	}
}

static void
configure(void *ctx, const struct conf *conf)
{
	struct frame *f = ctx;
	struct table *t, *next;
	struct staged *s;
	size_t i;

	TAILQ_FOREACH (t, &f->tables, entry)
		t->is_wanted = false;
	for (i = 0; i < conf->ntables; i++) {
		if (conf->tables[i].kind != the_backend.kind)
			continue;
		if ((t = table_find(f, conf->tables[i].name)) == NULL)
			t = table_add(f, conf->tables[i].name);
		t->is_wanted = true;
		TAILQ_FOREACH (s, &f->staged, entry)
			if (strcmp(s->name, t->name) == 0)
				break;
		if (s != NULL)
			table_open(f, t, s);
	}
	for (t = TAILQ_FIRST(&f->tables); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (!t->is_wanted)
			table_free(f, t);
	}
	while ((s = TAILQ_FIRST(&f->staged)) != NULL)
		staged_free(f, s);
}

void
frame_free(struct frame *f)
{
	struct staged *s;

	while ((s = TAILQ_FIRST(&f->staged)) != NULL)
		staged_free(f, s);
}

/* -- life -- */

static int
prepare(void *ctx)
{
	(void)ctx;
	return the_backend.prepare();
}

static void
tick_tables(struct frame *f)
{
	struct table *t;

	TAILQ_FOREACH (t, &f->tables, entry)
		if (t->backend != NULL)
			the_backend.tick(t->backend, service_now_ms(f->service));
}

static int
begin(void *ctx)
{
	tick_tables(ctx);
	return 0;
}

/* Every connection is ended in its own words; what is asked, is not answered any more. */
static void
stop(struct frame *f)
{
	struct table *t;

	while ((t = TAILQ_FIRST(&f->tables)) != NULL)
		table_free(f, t);
	service_stop(f->service);
}

/* One that replaces this program may wait for its end: the others ask again when they must. */
static void
stop_if_drained(struct frame *f)
{
	if (service_is_draining(f->service) &&
	    (f->questions.n == 0 || service_now_ms(f->service) >= f->drain_deadline_ms))
		stop(f);
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct frame *f = ctx;

	questions_drop(&f->questions, NULL, ch, NULL);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct frame *f = ctx;

	f->drain_deadline_ms = deadline_ms;
}

static void
on_turn(void *ctx)
{
	stop_if_drained(ctx);
}

static void
on_tick(void *ctx)
{
	struct frame *f = ctx;

	questions_tick(&f->questions, service_now_ms(f->service));
	tick_tables(f);
}

/* -- questions -- */

static bool
may_ask(enum role role, unsigned int service)
{
	bool is_secret = service == SERVICE_AUTH || service == SERVICE_CREDENTIALS;

	return service < SERVICE__MAX && is_secret == (role == ROLE_VAULT);
}

static void
on_ask(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_table_ask *m = &msg->table_ask;
	struct frame *f = ctx;
	struct table *t = table_find(f, m->table);

	(void)fd;
	if (!may_ask(channel_peer(ch), m->service))
		question_refuse(ch, m->req, IPC_DENIED, "that is not yours to know");
	else if (t == NULL)
		question_refuse(ch, m->req, IPC_RETRY, "there is no such table yet");
	else
		question_ask(&f->questions, t, ch, m, service_now_ms(f->service));
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_table_ask] = on_ask,
};

const struct service_program table_program = {
    .role = ROLE_TABLE,
    .handlers = handlers,
    .configure = configure,
    .on_file = on_file,
    .prepare = prepare,
    .begin = begin,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain,
};
