/* SPDX-License-Identifier: ISC */
/* The small configuration of a SQLite table: what it may say, and how each fault is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/conf/database.h"

#define PATH   "/etc/postern/users.db"
#define QUERY  "SELECT login, value FROM users WHERE login=?"
#define DBPATH "dbpath " PATH "\n"
#define THEASK "query_credentials " QUERY "\n"

static void
test_good(void **state)
{
	static const char *const cases[] = {
	    DBPATH THEASK,
	    THEASK DBPATH,
	    "# comment\n\n   \n" DBPATH "\t# another ? 'one\n" THEASK,
	    "dbpath\t" PATH " \t\r\n\tquery_credentials \t " QUERY, /* no newline at the end */
	    DBPATH "query_alias SELECT x\nfetch_source foo\nquery_userinfo\n" THEASK,
	};
	struct database_error error;
	struct database db;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (database_parse(cases[i], strlen(cases[i]), &db, &error) == -1)
			fail_msg("case %zu: line %u: %s", i, error.line, error.text);
		assert_string_equal(db.dbpath, PATH);
		assert_string_equal(db.query_credentials, QUERY);
		database_free(&db);
		assert_null(db.dbpath);
	}
}

static void
test_queries(void **state)
{
	static const struct {
		const char *query;
		const char *error; /* NULL: good */
	} cases[] = {
	    {"select a,b from t where c=?", NULL},
	    {"SELECT a, 'what?' FROM t WHERE c=?1", NULL},
	    {"SELECT a, \"odd?\" , `x?` FROM t WHERE c=lower(?)", NULL},
	    {"SELECT a, 'it''s?' FROM t WHERE c=?", NULL},
	    {"SELECT a,b FROM t", "the query must have one '?', for the login"},
	    {"SELECT a,b FROM t WHERE c='?'", "the query must have one '?', for the login"},
	    {"SELECT a,b FROM t WHERE c=? OR d=?", "the query must have one '?', for the login"},
	    {"DELETE FROM t WHERE c=?", "the query must be a SELECT"},
	    {"selection ?", "the query must be a SELECT"},
	    {"sel", "the query must be a SELECT"},
	};
	struct database_error error;
	struct database db;
	char text[256];
	size_t i;
	int ok;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		(void)snprintf(text, sizeof(text), DBPATH "query_credentials %s\n", cases[i].query);
		ok = database_parse(text, strlen(text), &db, &error);
		if (cases[i].error == NULL) {
			assert_int_equal(ok, 0);
			assert_string_equal(db.query_credentials, cases[i].query);
			database_free(&db);
			continue;
		}
		assert_int_equal(ok, -1);
		assert_int_equal(errno, EINVAL);
		assert_string_equal(error.text, cases[i].error);
		assert_int_equal(error.line, 2);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *error;
	} cases[] = {
	    {"", 0, "no 'dbpath'"},
	    {DBPATH, 0, "no 'query_credentials'"},
	    {THEASK, 0, "no 'dbpath'"},
	    {"\n" DBPATH "# x\n" DBPATH THEASK, 4, "'dbpath' is there twice"},
	    {"dbpath users.db\n" THEASK, 1, "dbpath must be an absolute path"},
	    {"dbpath\n" THEASK, 1, "'dbpath' needs a value"},
	    {"dbpath  \t \n" THEASK, 1, "'dbpath' needs a value"},
	    {DBPATH "dbpaht x\n", 2, "unknown word 'dbpaht', did you mean 'dbpath'?"},
	    {DBPATH "query_credential x\n", 2,
		"unknown word 'query_credential', did you mean 'query_credentials'?"},
	    {"zzzzzzzz\n", 1, "unknown word 'zzzzzzzz'"},
	    {DBPATH "query_credentials SELECT \x1b[2J ?\n", 2, "control character"},
	    {"\r\r\n", 1, "control character"},
	};
	struct database_error error;
	struct database db;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		assert_int_equal(
		    database_parse(cases[i].text, strlen(cases[i].text), &db, &error), -1);
		assert_int_equal(errno, EINVAL);
		assert_string_equal(error.text, cases[i].error);
		assert_int_equal(error.line, cases[i].line);
		assert_null(db.dbpath);
		assert_null(db.query_credentials);
	}
}

static void
test_nul(void **state)
{
	static const char text[] = DBPATH "query_credentials SELECT\0 ?\n";
	struct database_error error;
	struct database db;

	(void)state;
	assert_int_equal(database_parse(text, sizeof(text) - 1, &db, &error), -1);
	assert_string_equal(error.text, "control character");
	assert_int_equal(error.line, 2);
}

/* Each bound: the largest that is taken, and one octet more. */
static void
test_bounds(void **state)
{
	struct database_error error;
	struct database db;
	char *text = malloc(DATABASE_TEXT_MAX + 2);
	size_t len = strlen(DBPATH "query_credentials ");

	(void)state;
	assert_non_null(text);
	memset(text, ' ', DATABASE_TEXT_MAX + 2);
	memcpy(text, DBPATH THEASK, strlen(DBPATH THEASK));
	assert_int_equal(database_parse(text, DATABASE_TEXT_MAX, &db, &error), 0);
	database_free(&db);
	assert_int_equal(database_parse(text, DATABASE_TEXT_MAX + 1, &db, &error), -1);
	assert_string_equal(error.text, "longer than 16384 octets");

	memset(text + len, 'x', DATABASE_QUERY_MAX + 1);
	memcpy(text + len, "SELECT ?", 8);
	assert_int_equal(database_parse(text, len + DATABASE_QUERY_MAX, &db, &error), 0);
	assert_int_equal(strlen(db.query_credentials), DATABASE_QUERY_MAX);
	database_free(&db);
	assert_int_equal(database_parse(text, len + DATABASE_QUERY_MAX + 1, &db, &error), -1);
	assert_string_equal(error.text, "the query is longer than 4096 octets");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_queries),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
