/* SPDX-License-Identifier: ISC */
/* The small configuration of a table in a data base: what it may say, and how each fault is named. */
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
	    DBPATH "query_addrname SELECT x\nfetch_source foo\nfetch_source_expire\n" THEASK,
	};
	struct database_error error;
	struct database db;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (database_parse(DATABASE_SQLITE, cases[i], strlen(cases[i]), &db, &error) == -1)
			fail_msg("case %zu: line %u: %s", i, error.line, error.text);
		assert_string_equal(db.place, PATH);
		assert_string_equal(db.queries[SERVICE_CREDENTIALS], QUERY);
		database_free(&db);
		assert_null(db.place);
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
	    {"SELECT a,b FROM t", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c='?'", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c=? OR d=?", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c=? OR d=?1", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c=?2", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c=?10", "the query must have one '?', for the key"},
	    {"SELECT a,b FROM t WHERE c=?1 OR d='@'||?1", NULL},
	    {"SELECT a,b FROM t WHERE c=? AND d=$1", NULL}, /* for SQLite to refuse */
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
		ok = database_parse(DATABASE_SQLITE, text, strlen(text), &db, &error);
		if (cases[i].error == NULL) {
			assert_int_equal(ok, 0);
			assert_string_equal(db.queries[SERVICE_CREDENTIALS], cases[i].query);
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
	    {DBPATH, 0, "no query, as 'query_alias' is"},
	    {DBPATH "query_domain\n", 2, "'query_domain' needs a value"},
	    {DBPATH "query_alias SELECT ?\nquery_alias SELECT ?\n", 3,
		"'query_alias' is there twice"},
	    {"conninfo x\n", 1, "unknown word 'conninfo'"},
	    {THEASK, 0, "no 'dbpath'"},
	    {"\n" DBPATH "# x\n" DBPATH THEASK, 4, "'dbpath' is there twice"},
	    {"dbpath users.db\n" THEASK, 1, "dbpath must be an absolute path"},
	    {"dbpath\n" THEASK, 1, "'dbpath' needs a value"},
	    {"dbpath  \t \n" THEASK, 1, "'dbpath' needs a value"},
	    {DBPATH "dbpaht x\n", 2, "unknown word 'dbpaht', did you mean 'dbpath'?"},
	    {DBPATH "query_domains x\n", 2,
		"unknown word 'query_domains', did you mean 'query_domain'?"},
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
		assert_int_equal(database_parse(DATABASE_SQLITE, cases[i].text,
				     strlen(cases[i].text), &db, &error),
		    -1);
		assert_int_equal(errno, EINVAL);
		assert_string_equal(error.text, cases[i].error);
		assert_int_equal(error.line, cases[i].line);
		assert_null(db.place);
		assert_null(db.queries[SERVICE_CREDENTIALS]);
	}
}

/* Each service has its word, and some may ask for others. */
static void
test_services(void **state)
{
	static const struct {
		enum table_service service,
		    whose; /* with nothing but an alias, credentials and map */
	} cases[] = {
	    {SERVICE_ALIAS, SERVICE_ALIAS},
	    {SERVICE_VIRTUAL, SERVICE_ALIAS},
	    {SERVICE_DOMAIN, SERVICE__MAX},
	    {SERVICE_AUTH, SERVICE_CREDENTIALS},
	    {SERVICE_CREDENTIALS, SERVICE_CREDENTIALS},
	    {SERVICE_SENDERS, SERVICE_MAILADDRMAP},
	    {SERVICE_MAILADDR, SERVICE__MAX},
	    {SERVICE_STRING, SERVICE__MAX},
	};
	struct database_error error;
	struct database db;
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < SERVICE__MAX; i++) {
		(void)snprintf(text, sizeof(text), DBPATH "query_%s SELECT %zu, ?\n",
		    service_word((enum table_service)i), i);
		assert_int_equal(
		    database_parse(DATABASE_SQLITE, text, strlen(text), &db, &error), 0);
		assert_non_null(db.queries[i]);
		assert_int_equal(database_service(&db, (enum table_service)i), i);
		database_free(&db);
	}
	(void)snprintf(text, sizeof(text),
	    DBPATH
	    "query_alias SELECT ?\nquery_credentials SELECT ?\nquery_mailaddrmap SELECT ?\n");
	assert_int_equal(database_parse(DATABASE_SQLITE, text, strlen(text), &db, &error), 0);
	for (i = 0; i < NITEMS(cases); i++)
		assert_int_equal(database_service(&db, cases[i].service), cases[i].whose);
	database_free(&db);
}

static void
test_postgres(void **state)
{
	static const struct {
		const char *query, *error;
	} cases[] = {
	    {"SELECT a FROM t WHERE b=$1", NULL},
	    {"SELECT a FROM t WHERE b=$1 OR c='$2' OR d='@'||$1 OR e ? 'x'", NULL},
	    {"SELECT a FROM t WHERE b=?", "the query must have one '$1', for the key"},
	    {"SELECT a FROM t WHERE b=$2", "the query must have one '$1', for the key"},
	    {"SELECT a FROM t WHERE b=$1 AND c=$2", "the query must have one '$1', for the key"},
	};
	struct database_error error;
	struct database db;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int ok;

		(void)snprintf(text, sizeof(text), "conninfo host=x password=y\nquery_alias %s\n",
		    cases[i].query);
		ok = database_parse(DATABASE_POSTGRES, text, strlen(text), &db, &error);
		assert_int_equal(ok, cases[i].error == NULL ? 0 : -1);
		if (ok == -1) {
			assert_string_equal(error.text, cases[i].error);
			continue;
		}
		assert_string_equal(db.place, "host=x password=y");
		database_free(&db);
	}
	assert_int_equal(
	    database_parse(DATABASE_POSTGRES, DBPATH, strlen(DBPATH), &db, &error), -1);
	assert_string_equal(error.text, "unknown word 'dbpath'");
}

static void
test_nul(void **state)
{
	static const char text[] = DBPATH "query_credentials SELECT\0 ?\n";
	struct database_error error;
	struct database db;

	(void)state;
	assert_int_equal(database_parse(DATABASE_SQLITE, text, sizeof(text) - 1, &db, &error), -1);
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
	assert_int_equal(database_parse(DATABASE_SQLITE, text, DATABASE_TEXT_MAX, &db, &error), 0);
	database_free(&db);
	assert_int_equal(
	    database_parse(DATABASE_SQLITE, text, DATABASE_TEXT_MAX + 1, &db, &error), -1);
	assert_string_equal(error.text, "longer than 16384 octets");

	memset(text + len, 'x', DATABASE_QUERY_MAX + 1);
	memcpy(text + len, "SELECT ?", 8);
	assert_int_equal(
	    database_parse(DATABASE_SQLITE, text, len + DATABASE_QUERY_MAX, &db, &error), 0);
	assert_int_equal(strlen(db.queries[SERVICE_CREDENTIALS]), DATABASE_QUERY_MAX);
	database_free(&db);
	assert_int_equal(
	    database_parse(DATABASE_SQLITE, text, len + DATABASE_QUERY_MAX + 1, &db, &error), -1);
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
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_postgres),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
