/* SPDX-License-Identifier: ISC */
/*
 * Aliases, a list that they include and a .forward file, each before a NUL: whatever
 * is in them, what comes out is an account's name or an address.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/expand.h"
#include "lookup/forward.h"
#include "lookup/tables.h"

#define LIST "/list"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conf_text[] = "table t file:/t\n"
				"action A maildir alias <t>\n"
				"action V maildir virtual <t>\n"
				"action F forward-only alias <t>\n"
				"action R relay\n"
				"match for local action A\n"
				"match for domain \"v.example\" action V\n"
				"match for domain \"f.example\" action F\n"
				"match for any action R\n";

struct part {
	const char *text;
	size_t len;
};

struct fixture {
	struct conf *conf;
	struct inquiry_sources sources;
	struct part forward;
};

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int64_t
no_time(void *arg)
{
	(void)arg;
	return 0;
}

static void
on_resume(void *arg)
{
	(void)arg;
}

/* Half of the names there could be have an account. */
static int
answer_account(void *arg, struct memo_entry *e)
{
	(void)arg;
	memo_answer(e, memo_key(e)[0] < 'n' ? TABLE_YES : TABLE_NO, NULL, 0);
	return 0;
}

static int
answer_forward(void *arg, struct memo_entry *e)
{
	const struct fixture *f = arg;
	const char *key = memo_key(e);
	char *value;

	if (key[0] > 'c') {
		memo_answer(e, TABLE_NO, NULL, 0);
		return 0;
	}
	value = forward_format(
	    key[0] == 'a' ? FORWARD_USER : FORWARD_ROOT, f->forward.text, f->forward.len);
	if (value == NULL)
		abort();
	memo_answer(e, TABLE_YES, value, 0);
	free(value);
	return 0;
}

static struct memo *
memo_of(struct fixture *f, int (*ask)(void *, struct memo_entry *))
{
	const struct memo_plan plan = {
	    .octets_max = 1 << 20, .asked_max = 20000, .ask = ask, .arg = f};
	struct memo *m = memo_create(&plan);

	if (m == NULL)
		abort();
	return m;
}

static struct fixture *
fixture_get(void)
{
	static struct fixture f;
	struct conf_errors errors;

	if (f.conf != NULL)
		return &f;
	log_set_sink(ignore_log, NULL);
	f.conf = conf_parse_text("fuzz", conf_text, sizeof(conf_text) - 1, &errors);
	conf_errors_free(&errors);
	if (f.conf == NULL)
		abort();
	f.sources.tables = tables_create(NULL);
	f.sources.queue = inquiry_queue_create();
	f.sources.accounts = memo_of(&f, answer_account);
	f.sources.forwards = memo_of(&f, answer_forward);
	f.sources.now_ms = no_time;
	if (f.sources.tables == NULL || f.sources.queue == NULL ||
	    tables_configure(f.sources.tables, f.conf) == -1)
		abort();
	return &f;
}

static void
check_item(const struct expand_item *i)
{
	struct address a;
	const char *p;

	if (i->action[0] == '\0') {
		if (!str_starts_nocase(i->dest, EXPAND_FAILED "5.") || i->user[0] != '\0' ||
		    strlen(i->address) > IPC_ADDRESS_MAX || strlen(i->dest) > IPC_NAME_MAX)
			abort();
		return;
	}
	if (address_parse(i->address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		abort();
	if (i->user[0] == '\0')
		return;
	if (i->user[0] == '.' || i->user[0] == '-' || strlen(i->user) > 32)
		abort();
	for (p = i->user; *p != '\0'; p++)
		if (!char_is_alnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			abort();
}

static void
expand_all(struct fixture *f, const char *address, const char *action)
{
	struct inquiry *inquiry = inquiry_create(&f->sources, on_resume, NULL);
	struct policy p = {.conf = f->conf, .inquiry = inquiry, .hostname = "h.example"};
	const struct expansion *x;
	struct expander *e;
	struct address a;
	size_t i;

	if (inquiry == NULL || address_parse(address, 0, &a) != ADDRESS_OK ||
	    (e = expander_create(&p, &a, conf_action_find(f->conf, action))) == NULL)
		abort();
	while (expander_run(e, 64) != EXPAND_DONE)
		(void)inquiry_queue_run(f->sources.queue);
	x = expander_result(e);
	if (x->outcome != IPC_OK && x->nitems > 0)
		abort();
	for (i = 0; i < x->nitems; i++)
		check_item(&x->items[i]);
	expander_free(e);
	inquiry_free(inquiry);
}

/* What stands before the next NUL, or the end. */
static struct part
next_part(const uint8_t **data, size_t *size)
{
	const uint8_t *nul = *size == 0 ? NULL : memchr(*data, '\0', *size);
	struct part p = {(const char *)*data, nul == NULL ? *size : (size_t)(nul - *data)};
	size_t used = p.len + (nul != NULL);

	*data += used;
	*size -= used;
	return p;
}

static int
file_of(struct part p)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || write(fd, p.text, p.len) != (ssize_t)p.len || lseek(fd, 0, SEEK_SET) == -1)
		abort();
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *f = fixture_get();
	struct part aliases = next_part(&data, &size), list = next_part(&data, &size);

	f->forward = next_part(&data, &size);
	if (tables_load(f->sources.tables, "t", file_of(aliases)) == -1 ||
	    tables_load_include(f->sources.tables, "t", LIST, file_of(list)) == -1)
		abort();
	/* Any other list does not come any more. */
	tables_tick(f->sources.tables, 1);
	tables_tick(f->sources.tables, INT64_MAX);
	expand_all(f, "a@h.example", "A");
	expand_all(f, "a+b@v.example", "V");
	expand_all(f, "b@f.example", "F");
	return 0;
}
