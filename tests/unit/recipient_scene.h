/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_RECIPIENT_SCENE_H
#define TESTS_UNIT_RECIPIENT_SCENE_H

/*
 * What lookup knows of recipients, for tests: tables of a configuration in memory, and
 * accounts, .forward files and SRS addresses that a test lists.  Whoever asks for those
 * is answered at once, or, in a slow scene, when the test says so.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/conf/conf.h"
#include "lookup/forward.h"
#include "lookup/inquiry.h"
#include "lookup/memo.h"
#include "lookup/recipient.h"
#include "lookup/tables.h"

#define SCENE_ASKED_MAX 20000

struct scene_file { /* .forward of an account; text NULL: trouble */
	const char *key;
	enum forward_kind kind;
	const char *text;
};

struct scene_pair {
	const char *key, *value;
};

struct scene {
	struct conf *conf;
	struct inquiry_sources sources;
	struct inquiry *inquiry;
	struct policy policy;
	const char *const *accounts; /* up to a NULL; "hang" is trouble */
	bool has_all_accounts;
	const struct scene_file *files; /* up to a NULL */
	const struct scene_pair *srs;	/* up to a NULL */
	bool slow;
	struct { /* what waits for its answer */
		struct memo_entry *entry;
		int (*answer)(void *arg, struct memo_entry *entry);
	} asked[SCENE_ASKED_MAX];
	size_t nasked, most_asked, questions;
};

static int
scene_ask(struct scene *s, struct memo_entry *entry, int (*answer)(void *, struct memo_entry *))
{
	s->questions++;
	if (!s->slow)
		return answer(s, entry);
	assert_true(s->nasked < SCENE_ASKED_MAX);
	s->asked[s->nasked].entry = entry;
	s->asked[s->nasked++].answer = answer;
	if (s->most_asked < s->nasked)
		s->most_asked = s->nasked;
	return 0;
}

static int
scene_account_answer(void *arg, struct memo_entry *entry)
{
	const struct scene *s = arg;
	enum table_answer answer = s->has_all_accounts ? TABLE_YES : TABLE_NO;
	size_t i;

	if (strcmp(memo_key(entry), "hang") == 0)
		answer = TABLE_TROUBLE;
	for (i = 0; s->accounts != NULL && s->accounts[i] != NULL; i++)
		if (strcmp(s->accounts[i], memo_key(entry)) == 0)
			answer = TABLE_YES;
	memo_answer(entry, answer, NULL, 0);
	return 0;
}

static int
scene_forward_answer(void *arg, struct memo_entry *entry)
{
	const struct scene *s = arg;
	const struct scene_file *f;
	char *value;

	for (f = s->files; f != NULL && f->key != NULL; f++)
		if (strcmp(f->key, memo_key(entry)) == 0)
			break;
	if (f == NULL || f->key == NULL || f->text == NULL) {
		memo_answer(entry, f == NULL || f->key == NULL ? TABLE_NO : TABLE_TROUBLE, NULL, 0);
		return 0;
	}
	assert_non_null(value = forward_format(f->kind, f->text, strlen(f->text)));
	memo_answer(entry, TABLE_YES, value, 0);
	free(value);
	return 0;
}

static int
scene_srs_answer(void *arg, struct memo_entry *entry)
{
	const struct scene *s = arg;
	const struct scene_pair *p;

	for (p = s->srs; p != NULL && p->key != NULL; p++)
		if (strcmp(p->key, memo_key(entry)) == 0) {
			memo_answer(entry, TABLE_YES, p->value, 0);
			return 0;
		}
	memo_answer(entry, TABLE_NO, NULL, 0);
	return 0;
}

static int
scene_ask_account(void *arg, struct memo_entry *entry)
{
	return scene_ask(arg, entry, scene_account_answer);
}

static int
scene_ask_forward(void *arg, struct memo_entry *entry)
{
	return scene_ask(arg, entry, scene_forward_answer);
}

static int
scene_ask_srs(void *arg, struct memo_entry *entry)
{
	return scene_ask(arg, entry, scene_srs_answer);
}

/* Everybody who waits is answered, the last one first. */
static inline void
scene_answer_all(struct scene *s)
{
	while (s->nasked > 0) {
		s->nasked--;
		(void)s->asked[s->nasked].answer(s, s->asked[s->nasked].entry);
	}
}

static int64_t
scene_now(void *arg)
{
	(void)arg;
	return 0;
}

static void
scene_resume(void *arg)
{
	(void)arg;
}

static struct memo *
scene_memo(struct scene *s, int (*ask)(void *, struct memo_entry *))
{
	const struct memo_plan plan = {.entries_max = 0,
	    .octets_max = 1 << 20,
	    .asked_max = SCENE_ASKED_MAX,
	    .ask = ask,
	    .arg = s};
	struct memo *m = memo_create(&plan);

	assert_non_null(m);
	return m;
}

/* A decision of its own: nothing is remembered. */
static void
scene_begin(struct scene *s)
{
	inquiry_free(s->inquiry);
	assert_non_null(s->inquiry = inquiry_create(&s->sources, scene_resume, s));
	s->policy.inquiry = s->inquiry;
	s->nasked = s->most_asked = s->questions = 0;
}

static void
scene_open(struct scene *s, const char *text)
{
	struct conf_errors errors;

	*s = (struct scene){.conf = conf_parse_text("test", text, strlen(text), &errors)};
	if (s->conf == NULL)
		print_error("%u: %s\n", errors.list[0].line, errors.list[0].text);
	conf_errors_free(&errors);
	assert_non_null(s->conf);
	assert_non_null(s->sources.tables = tables_create(NULL));
	assert_int_equal(tables_configure(s->sources.tables, s->conf), 0);
	assert_non_null(s->sources.queue = inquiry_queue_create());
	s->sources.accounts = scene_memo(s, scene_ask_account);
	s->sources.forwards = scene_memo(s, scene_ask_forward);
	s->sources.srs = scene_memo(s, scene_ask_srs);
	s->sources.now_ms = scene_now;
	s->policy = (struct policy){.conf = s->conf, .hostname = "mx.example.org"};
	scene_begin(s);
}

static void
scene_close(struct scene *s)
{
	inquiry_free(s->inquiry);
	inquiry_queue_free(s->sources.queue);
	memo_free(s->sources.accounts);
	memo_free(s->sources.forwards);
	memo_free(s->sources.srs);
	tables_free(s->sources.tables);
	conf_free(s->conf);
}

/* A file that a table includes. */
static inline void
scene_include(struct scene *s, const char *table, const char *path, const char *text)
{
	int fd = memfd_create("include", 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(tables_load_include(s->sources.tables, table, path, fd), 0);
}

#endif
