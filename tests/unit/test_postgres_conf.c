/* SPDX-License-Identifier: ISC */
/* The small file of a PostgreSQL table: what a conninfo may say here, and how each fault is named. */
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
#include "lib/conf/postgres.h"

#define QUERY "SELECT target FROM aliases WHERE name = $1"
#define ALIAS "query_alias " QUERY "\n"

static int
parse(const char *conninfo, struct postgres *p, struct database_error *error)
{
	char text[DATABASE_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "conninfo %s\n" ALIAS, conninfo);

	assert_in_range(n, 0, sizeof(text) - 1);
	return postgres_parse(text, (size_t)n, p, error);
}

static void
assert_text(const char *is, const char *should)
{
	if (should == NULL)
		assert_null(is);
	else {
		assert_non_null(is);
		assert_string_equal(is, should);
	}
}

static void
test_good(void **state)
{
	static const struct {
		const char *conninfo, *hostaddr, *dbname, *user, *password, *options;
		uint16_t port;
	} cases[] = {
	    {"hostaddr=127.0.0.1 user=postern", "127.0.0.1", NULL, "postern", NULL, NULL, 5432},
	    {"user=u hostaddr=2001:db8::1 port=1", "2001:db8::1", NULL, "u", NULL, NULL, 1},
	    {"host=192.0.2.5 port=65535 user=u", "192.0.2.5", NULL, "u", NULL, NULL, 65535},
	    {"  hostaddr = ::1\tuser  =  u dbname= 'my mail' ", "::1", "my mail", "u", NULL, NULL,
		5432},
	    {"hostaddr='::1' user='it\\'s' password='a\\\\b \\' c='", "::1", NULL, "it's",
		"a\\b ' c=", NULL, 5432},
	    {"hostaddr=::1 user=u password=a\\ b\\=c'd", "::1", NULL, "u", "a b=c'd", NULL, 5432},
	    {"hostaddr=::1 user=u password=\\", "::1", NULL, "u", NULL, NULL, 0},
	    {"hostaddr=::1 user=u sslmode=require channel_binding=require application_name=x "
	     "options='-c search_path=mail'",
		"::1", NULL, "u", NULL, "-c search_path=mail", 5432},
	};
	struct database_error error;
	struct postgres p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (parse(cases[i].conninfo, &p, &error) == -1) {
			if (cases[i].port != 0)
				fail_msg("case %zu: %s", i, error.text);
			continue;
		}
		assert_text(p.hostaddr, cases[i].hostaddr);
		assert_text(p.dbname, cases[i].dbname);
		assert_text(p.user, cases[i].user);
		assert_text(p.password, cases[i].password);
		assert_text(p.options, cases[i].options);
		assert_int_equal(p.port_number, cases[i].port);
		assert_string_equal(p.db.queries[SERVICE_ALIAS], QUERY);
		postgres_free(&p);
		assert_null(p.hostaddr);
		assert_null(p.db.place);
	}
}

static void
test_bad(void **state)
{
	static const struct {
		const char *conninfo, *error;
	} cases[] = {
	    {"user=u", "no 'hostaddr'"},
	    {"hostaddr=::1", "no 'user'"},
	    {"hostaddr=db.example.org user=u", "'hostaddr' must be a numeric address"},
	    {"hostaddr=127.0.0.1,127.0.0.2 user=u", "'hostaddr' must be a numeric address"},
	    {"hostaddr=fe80::1%eth0 user=u", "'hostaddr' must be a numeric address"},
	    {"hostaddr='' user=u", "'hostaddr' must be a numeric address"},
	    {"host=localhost user=u",
		"no name is looked up here: say hostaddr=ADDRESS instead of host=localhost"},
	    {"host=/run/postgresql user=u",
		"a Unix socket can't be reached from here: say hostaddr=127.0.0.1"},
	    {"host=::1 hostaddr=::1 user=u", "'hostaddr' is there twice"},
	    {"hostaddr=::1 port=0 user=u", "'port' must be a number from 1 to 65535"},
	    {"hostaddr=::1 port=65536 user=u", "'port' must be a number from 1 to 65535"},
	    {"hostaddr=::1 port=5432,5433 user=u", "'port' must be a number from 1 to 65535"},
	    {"hostaddr=::1 user=", "'user' must be given"},
	    {"hostaddr=::1 user=''", "'user' must be given"},
	    {"hostaddr=::1 user=u user=v", "'user' is there twice"},
	    {"hostaddr=::1 user=u sslmode=verify-full",
		"'sslmode' must be disable, allow, prefer or require"},
	    {"hostaddr=::1 user=u sslrootcert=/etc/ca.pem",
		"'sslrootcert' is not for us: this process can open no file; "
		"channel_binding=require proves the server"},
	    {"hostaddr=::1 user=u service=mail",
		"'service' is not for us: this process can open no file: write what it says here"},
	    {"hostaddr=::1 usr=u", "unknown word 'usr', did you mean 'user'?"},
	    {"hostaddr=::1 user=u target_session_attrs=any", "unknown word 'target_session_attrs'"},
	    {"hostaddr=::1 user=u password='x", "a value has no closing quote"},
	    {"hostaddr=::1 user=u password='x\\'", "a value has no closing quote"},
	    {"hostaddr=::1 user", "no '=' after a word"},
	    {"hostaddr=::1 user=u dbname mail", "no '=' after a word"},
	    {"=::1", "pairs of the form word=value are wanted"},
	    {"postgresql://u@[::1]/mail", "word=value pairs are wanted, not a URI"},
	    {"postgres://u@[::1]/mail?sslmode=require", "word=value pairs are wanted, not a URI"},
	};
	struct database_error error;
	char expected[200];
	struct postgres p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		if (parse(cases[i].conninfo, &p, &error) == 0)
			fail_msg("case %zu was taken", i);
		assert_int_equal(errno, EINVAL);
		(void)snprintf(expected, sizeof(expected), "conninfo: %s", cases[i].error);
		assert_string_equal(error.text, expected);
		assert_int_equal(error.line, 0);
		assert_null(p.hostaddr);
		assert_null(p.password);
		assert_null(p.db.place);
	}
}

/* The rest of the file is database.c's, whose words come through. */
static void
test_file(void **state)
{
	static const char *const cases[][2] = {
	    {ALIAS, "no 'conninfo'"},
	    {"conninfo hostaddr=::1 user=u\nquery_alias DELETE FROM x WHERE y=$1\n",
		"the query must be a SELECT"},
	    {"conninfo hostaddr=::1 user=u\nquery_alias SELECT 1 WHERE x=?\n", "'$1'"},
	};
	struct database_error error;
	struct postgres p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(postgres_parse(cases[i][0], strlen(cases[i][0]), &p, &error), -1);
		if (strstr(error.text, cases[i][1]) == NULL)
			fail_msg("case %zu: %s", i, error.text);
	}
}

static void
test_long_values(void **state)
{
	char conninfo[POSTGRES_VALUE_MAX + 64];
	struct database_error error;
	struct postgres p;
	int n, len;

	(void)state;
	for (len = POSTGRES_VALUE_MAX; len <= POSTGRES_VALUE_MAX + 1; len++) {
		n = snprintf(
		    conninfo, sizeof(conninfo), "hostaddr=::1 user=u password=%0*d", len, 0);
		assert_in_range(n, 1, sizeof(conninfo) - 1);
		if (len > POSTGRES_VALUE_MAX) {
			assert_int_equal(parse(conninfo, &p, &error), -1);
			assert_non_null(strstr(error.text, "longer than"));
			continue;
		}
		assert_int_equal(parse(conninfo, &p, &error), 0);
		assert_int_equal(strlen(p.password), len);
		postgres_free(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
