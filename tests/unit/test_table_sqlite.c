/* SPDX-License-Identifier: ISC */
/* Tables in SQLite databases, as lookup asks them: values and rows, writers, slow queries, damage. */
#include "tests/unit/database_rig.h"

#include <event2/event.h>

#include "lib/service/service.h"
#include "lookup/backend.h"

#define SCHEMA                                          \
	"CREATE TABLE aliases(name TEXT, target TEXT);" \
	"CREATE TABLE domains(domain TEXT);"            \
	"CREATE TABLE users(name TEXT, uid INT, gid INT, home TEXT);"
#define CONF                                                                   \
	"query_alias SELECT target FROM aliases WHERE name=? ORDER BY rowid\n" \
	"query_domain SELECT domain FROM domains WHERE domain=?\n"             \
	"query_userinfo SELECT uid, gid, home FROM users WHERE name=?\n"       \
	"query_mailaddrmap SELECT target FROM aliases WHERE name=?1 OR name='@'||?1\n"
#define ENDLESS                                                                               \
	"SELECT count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c)" \
	" SELECT n FROM c) WHERE n > ?"

struct scene {
	char dir[32], db[64], conf[64];
	struct event_base *base;
	struct service *service;
	struct backend_env env;
	void *t;
};

static struct event_base *the_base;

/* In place of a whole program's. */
struct event_base *
service_base(const struct service *s)
{
	(void)s;
	return the_base;
}

static void
load(struct scene *s, const char *part, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(table_sqlite_ops.load(s->t, part, fd), 0);
}

static void
tell(struct scene *s, const char *queries)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "dbpath %s\n%s", s->db, queries);
	write_file(s->conf, text, strlen(text));
	load(s, "conf", s->conf);
}

static int
set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	log_set_sink(keep_line, NULL);
	last_line[0] = '\0';
	nlines = 0;
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/sqlite-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->db, sizeof(s->db), "%s/mail.db", s->dir);
	(void)snprintf(s->conf, sizeof(s->conf), "%s/mail.conf", s->dir);
	the_base = s->base = event_base_new();
	s->env.service = &s->service;
	s->t = table_sqlite_ops.create(&s->env, "mail");
	assert_non_null(s->t);
	database_run(s->db, SCHEMA);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *s = *state;
	char path[128];

	if (s->t != NULL)
		table_sqlite_ops.free(s->t);
	event_base_free(s->base);
	(void)unlink(s->db);
	(void)unlink(s->conf);
	(void)snprintf(path, sizeof(path), "%s-wal", s->db);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s-shm", s->db);
	(void)unlink(path);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static void
give_all(struct scene *s, const char *sql)
{
	database_run(s->db, sql);
	load(s, "", s->db);
	tell(s, CONF);
}

/* -- who asks -- */

struct asker {
	struct memo_waiter w;
	unsigned int told;
	enum table_answer answer;
	char value[256];
};

static void
on_done(void *arg, enum table_answer answer, const char *value)
{
	struct asker *a = arg;

	a->told++;
	a->answer = answer;
	str_cut(a->value, sizeof(a->value), value);
}

static enum table_answer
ask(struct scene *s, struct asker *a, enum table_service service, const char *key)
{
	const char *value = NULL;

	*a = (struct asker){.w = {.done = on_done, .arg = a}, .answer = TABLE_PENDING};
	a->answer = table_sqlite_ops.find(s->t, service, key, &a->w, &value);
	if (a->answer == TABLE_YES)
		str_cut(a->value, sizeof(a->value), value);
	return a->answer;
}

static void
assert_answer(struct scene *s, enum table_service service, const char *key, const char *value)
{
	struct asker a;

	if (ask(s, &a, service, key) != TABLE_YES)
		fail_msg("%s: %d; %s", key, a.answer, last_line);
	assert_string_equal(a.value, value);
}

static void
assert_no(struct scene *s, enum table_service service, const char *key, enum table_answer answer)
{
	struct asker a;

	if (ask(s, &a, service, key) != answer)
		fail_msg("%s: %d (%s), not %d; %s", key, a.answer, a.value, answer, last_line);
}

static void
turn_until_told(struct scene *s, const struct asker *a)
{
	int64_t end_ms = time_mono_ms() + 30000;

	while (a->told == 0 && time_mono_ms() < end_ms)
		(void)event_base_loop(s->base, EVLOOP_ONCE);
	assert_int_equal(a->told, 1);
}

/* -- values -- */

static void
test_services(void **state)
{
	struct scene *s = *state;

	give_all(s, "INSERT INTO aliases "
		    "VALUES('root','alice'),('root',NULL),('root',''),('root','bob, carol'),"
		    "('none',NULL),('empty',''),('number',12),('blob',x'6162'),('@anna','anna@"
		    "example.org'),"
		    "('tab','a	b'),('utf','\xc3\xa9');"
		    "INSERT INTO domains VALUES('example.org'),('twice.example'),('twice.example');"
		    "INSERT INTO users "
		    "VALUES('vmail',5000,5001,'/srv/mail'),('vmail',1,2,'/'),('nohome',1,2,NULL),"
		    "('nobody',NULL,NULL,NULL)");
	assert_answer(s, SERVICE_ALIAS, "root", "alice, bob, carol");
	assert_no(s, SERVICE_ALIAS, "none", TABLE_NO);
	assert_no(s, SERVICE_ALIAS, "empty", TABLE_NO);
	assert_no(s, SERVICE_ALIAS, "unknown", TABLE_NO);
	assert_no(s, SERVICE_ALIAS, "' OR 1=1 --", TABLE_NO);
	assert_no(s, SERVICE_ALIAS, "%", TABLE_NO);
	assert_answer(s, SERVICE_ALIAS, "number", "12");
	assert_answer(s, SERVICE_ALIAS, "blob", "ab");
	assert_answer(s, SERVICE_ALIAS, "tab", "a\tb");
	assert_answer(s, SERVICE_ALIAS, "utf", "\xc3\xa9");
	assert_answer(s, SERVICE_VIRTUAL, "root", "alice, bob, carol");
	assert_answer(s, SERVICE_SENDERS, "anna", "anna@example.org");
	assert_answer(s, SERVICE_DOMAIN, "example.org", "");
	assert_answer(s, SERVICE_DOMAIN, "twice.example", "");
	assert_no(s, SERVICE_DOMAIN, "example.com", TABLE_NO);
	assert_answer(s, SERVICE_USERINFO, "vmail", "5000:5001:/srv/mail");
	assert_answer(s, SERVICE_USERINFO, "nohome", "1:2:");
	assert_no(s, SERVICE_USERINFO, "nobody", TABLE_NO);
	assert_int_equal(nlines, 0);
	/* What it is not for, is trouble and never "no"; the rest works on. */
	assert_no(s, SERVICE_NETADDR, "192.0.2.1", TABLE_TROUBLE);
	assert_logged("service=netaddr why=\"there is no query_netaddr\"");
	assert_answer(s, SERVICE_DOMAIN, "example.org", "");
	nlines = 0;
	assert_no(s, SERVICE_NETADDR, "192.0.2.1", TABLE_TROUBLE);
	assert_int_equal(nlines, 0);
}

/* A value that could end a line of a protocol or a log is trouble for who asked, and for nobody else. */
static void
test_control_characters(void **state)
{
	static const char *const keys[] = {"cr", "lf", "nul", "esc", "del", "end"};
	struct scene *s = *state;
	size_t i;

	give_all(s, "INSERT INTO aliases VALUES('good','alice'),('cr','a' || char(13) || 'b'),"
		    "('lf','a' || char(10) || 'RCPT TO:<x>'),('nul','a' || char(0) || 'b'),"
		    "('esc',char(27) || '[2J'),('del',char(127)),('end','alice' || char(10)),"
		    "('k' || char(10) || 'k',char(10))");
	for (i = 0; i < NITEMS(keys); i++) {
		assert_no(s, SERVICE_ALIAS, keys[i], TABLE_TROUBLE);
		assert_answer(s, SERVICE_ALIAS, "good", "alice");
	}
	assert_logged(
	    "event=table-value-refused table=mail key=cr why=\"a value has a control character\"");
	assert_int_equal(nlines, 1);
	(void)usleep(1100000);
	assert_no(s, SERVICE_ALIAS, "k\nk", TABLE_TROUBLE);
	assert_logged("key=\"k\\x0ak\"");
}

static void
test_many_rows(void **state)
{
	struct scene *s = *state;
	const char *value;
	struct asker a;

	give_all(s, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<10000)"
		    "INSERT INTO aliases SELECT 'list', 'member' || n || '@example.org' FROM c;"
		    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<40)"
		    "INSERT INTO aliases SELECT 'toomuch', printf('%.*c', 30000, 'x') FROM c");
	assert_int_equal(
	    table_sqlite_ops.find(s->t, SERVICE_ALIAS, "list", &a.w, &value), TABLE_YES);
	assert_int_equal(strncmp(value, "member1@example.org, member2@example.org, ", 42), 0);
	assert_string_equal(value + strlen(value) - 23, "member10000@example.org");
	assert_no(s, SERVICE_ALIAS, "toomuch", TABLE_TROUBLE);
	assert_logged("key=toomuch why=\"all its rows together are too long\"");
	assert_no(s, SERVICE_DOMAIN, "example.org", TABLE_NO);
}

/* -- writers -- */

static void
test_writer(void **state)
{
	struct scene *s = *state;
	struct asker a, b, c, gone;
	int go_on, status;
	pid_t pid;

	give_all(s, "INSERT INTO aliases VALUES('root','alice'); INSERT INTO domains VALUES('x')");
	assert_answer(s, SERVICE_ALIAS, "root", "alice");
	pid = database_lock(s->db, "UPDATE aliases SET target='new'", &go_on);
	assert_int_equal(ask(s, &a, SERVICE_ALIAS, "root"), TABLE_PENDING);
	assert_int_equal(ask(s, &b, SERVICE_ALIAS, "root"), TABLE_PENDING);
	assert_int_equal(ask(s, &c, SERVICE_DOMAIN, "y"), TABLE_PENDING);
	assert_int_equal(ask(s, &gone, SERVICE_DOMAIN, "x"), TABLE_PENDING);
	memo_forget(&gone.w);
	(void)event_base_loop(s->base, EVLOOP_ONCE);
	(void)event_base_loop(s->base, EVLOOP_ONCE);
	assert_int_equal(a.told, 0);
	(void)close(go_on);
	turn_until_told(s, &a);
	turn_until_told(s, &c);
	assert_int_equal(a.answer, TABLE_YES);
	assert_string_equal(a.value, "new");
	assert_int_equal(b.told, 1);
	assert_string_equal(b.value, "new");
	assert_int_equal(c.answer, TABLE_NO);
	assert_int_equal(gone.told, 0);
	assert_int_equal(nlines, 0);
	/* Nothing of it is remembered, and nobody waits. */
	database_run(s->db, "UPDATE aliases SET target='newer'");
	assert_answer(s, SERVICE_ALIAS, "root", "newer");
	assert_int_equal(event_base_loop(s->base, EVLOOP_NONBLOCK), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_writer_for_ever(void **state)
{
	struct scene *s = *state;
	int64_t began_ms;
	struct asker a, b;
	int go_on;
	pid_t pid;

	give_all(s, "INSERT INTO aliases VALUES('root','alice')");
	pid = database_lock(s->db, "UPDATE aliases SET target='new'", &go_on);
	began_ms = time_mono_ms();
	assert_int_equal(ask(s, &a, SERVICE_ALIAS, "root"), TABLE_PENDING);
	turn_until_told(s, &a);
	assert_in_range(time_mono_ms() - began_ms, 5000, 20000);
	assert_int_equal(a.answer, TABLE_TROUBLE);
	assert_logged("event=table-trouble table=mail service=alias why=\"somebody else keeps the "
		      "database locked\"");
	/* Who waits when the table goes, is told. */
	assert_int_equal(ask(s, &b, SERVICE_ALIAS, "root"), TABLE_PENDING);
	table_sqlite_ops.free(s->t);
	s->t = NULL;
	assert_int_equal(b.told, 1);
	assert_int_equal(b.answer, TABLE_TROUBLE);
	(void)close(go_on);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Another database in the same place is seen when it is handed over, by those who wait, too. */
static void
test_replaced(void **state)
{
	struct scene *s = *state;
	struct asker a;
	int go_on;
	pid_t pid;

	give_all(s, "INSERT INTO aliases VALUES('root','old')");
	pid = database_lock(s->db, "DELETE FROM aliases", &go_on);
	assert_int_equal(ask(s, &a, SERVICE_ALIAS, "root"), TABLE_PENDING);
	assert_int_equal(unlink(s->db), 0);
	database_run(s->db, SCHEMA "INSERT INTO aliases VALUES('root','fresh')");
	load(s, "", s->db);
	turn_until_told(s, &a);
	assert_string_equal(a.value, "fresh");
	assert_answer(s, SERVICE_ALIAS, "root", "fresh");
	(void)close(go_on);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* -- a query that takes too long -- */

static void
test_slow_query(void **state)
{
	struct scene *s = *state;
	int64_t began_ms;

	give_all(s, "INSERT INTO domains VALUES('example.org')");
	tell(s, CONF "query_mailaddr " ENDLESS "\n");
	assert_answer(s, SERVICE_DOMAIN, "example.org", "");
	began_ms = time_mono_ms();
	assert_no(s, SERVICE_MAILADDR, "x", TABLE_TROUBLE);
	assert_true(time_mono_ms() - began_ms < 1000);
	assert_logged("service=mailaddr why=\"the query takes too long\"");
	/* It rests: nobody has the loop again and again. */
	began_ms = time_mono_ms();
	nlines = 0;
	while (time_mono_ms() - began_ms < 500)
		assert_no(s, SERVICE_MAILADDR, "x", TABLE_TROUBLE);
	assert_no(s, SERVICE_DOMAIN, "example.org", TABLE_TROUBLE);
	assert_int_equal(nlines, 0);
	(void)usleep(1100000);
	assert_answer(s, SERVICE_DOMAIN, "example.org", "");
}

/* -- files that are not what they should be -- */

static void
test_not_there(void **state)
{
	struct scene *s = *state;

	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	assert_logged("why=\"not there\"");
	tell(s, CONF);
	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	database_run(s->db, "INSERT INTO aliases VALUES('root','alice')");
	load(s, "", s->db);
	assert_answer(s, SERVICE_ALIAS, "root", "alice");
	tell(s, "query_alias DROP TABLE aliases\n");
	assert_logged("line 2: the query must be a SELECT");
	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	tell(s, "query_alias SELECT target, 1 FROM aliases WHERE name=?\n");
	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	assert_logged("query_alias must be one query with one parameter and one column");
	tell(s, "query_alias SELECT target FROM nowhere WHERE name=?\n");
	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	assert_logged("no such table: nowhere");
	database_run(
	    s->db, "CREATE VIEW nowhere AS SELECT name, target || '!' AS target FROM aliases");
	assert_answer(s, SERVICE_ALIAS, "root", "alice!");
	assert_logged("event=table-works table=mail service=alias");
}

static void
test_wal(void **state)
{
	struct scene *s = *state;

	give_all(s, "INSERT INTO aliases VALUES('root','alice'); PRAGMA journal_mode=WAL");
	assert_no(s, SERVICE_ALIAS, "root", TABLE_TROUBLE);
	assert_logged("WAL mode");
	database_run(s->db, "PRAGMA journal_mode=DELETE");
	assert_answer(s, SERVICE_ALIAS, "root", "alice");
}

static void
test_damage(void **state)
{
	struct scene *s = *state;
	struct damage d;
	struct asker a;
	int round;

	database_run(s->db,
	    "PRAGMA page_size=512; VACUUM;"
	    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<200)"
	    "INSERT INTO aliases SELECT 'u' || n, printf('%.*c', n, 'x') FROM c");
	damage_read(&d, s->db);
	tell(s, CONF);
	for (round = 0; round < 300; round++) {
		damage_write(&d, s->db, round);
		load(s, "", s->db);
		assert_true(ask(s, &a, SERVICE_ALIAS, "u7") != TABLE_PENDING);
		assert_true(ask(s, &a, SERVICE_ALIAS, "u199") != TABLE_PENDING);
		assert_true(ask(s, &a, SERVICE_DOMAIN, "x") != TABLE_PENDING);
	}
	write_file(s->db, "no database\n", 12);
	load(s, "", s->db);
	assert_no(s, SERVICE_ALIAS, "u7", TABLE_TROUBLE);
	write_file(s->db, d.good, d.len);
	load(s, "", s->db);
	assert_answer(s, SERVICE_ALIAS, "u7", "xxxxxxx");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_services),
	    TEST(test_control_characters),
	    TEST(test_many_rows),
	    TEST(test_writer),
	    TEST(test_writer_for_ever),
	    TEST(test_replaced),
	    TEST(test_slow_query),
	    TEST(test_not_there),
	    TEST(test_wal),
	    TEST(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
