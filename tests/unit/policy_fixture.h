/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

/* A configuration, its tables in memory, and a policy that asks them; to be included after cmocka.h. */
#include <string.h>

#include "lib/conf/conf.h"
#include "lookup/inquiry.h"
#include "lookup/rules.h"
#include "lookup/tables.h"

struct policy_fixture {
	struct conf *conf;
	struct tables *tables;
	struct inquiry_sources sources;
	struct policy policy;
};

static inline int64_t
policy_fixture_now(void *arg)
{
	(void)arg;
	return 0;
}

static inline void
policy_fixture_make(struct policy_fixture *f, const char *text)
{
	struct conf_errors errors;

	f->conf = conf_parse_text("test", text, strlen(text), &errors);
	if (f->conf == NULL)
		print_error("%s\n", errors.n > 0 ? errors.list[0].text : "?");
	conf_errors_free(&errors);
	assert_non_null(f->conf);
	f->tables = tables_create(NULL);
	assert_non_null(f->tables);
	assert_int_equal(tables_configure(f->tables, f->conf), 0);
	f->sources = (struct inquiry_sources){.tables = f->tables, .now_ms = policy_fixture_now};
	f->policy = (struct policy){
	    f->conf, inquiry_create(&f->sources, NULL, NULL), "mx.example.org"};
	assert_non_null(f->policy.inquiry);
}

static inline void
policy_fixture_free(struct policy_fixture *f)
{
	inquiry_free(f->policy.inquiry);
	tables_free(f->tables);
	conf_free(f->conf);
}

#endif
