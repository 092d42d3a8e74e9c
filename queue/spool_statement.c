/* SPDX-License-Identifier: ISC */
/*
 * Every statement the spool ever runs after it was opened, prepared once.
 *
 * Invariant: text of statements is fixed here; what comes from outside is
 * only ever bound to a parameter.  Nothing is fatal.
 */
#include <errno.h>
#include <string.h>

#include "queue/spool_private.h"

#define MESSAGE_COLUMNS                                                                      \
	"id, flags, received, expires, size, nchunks, priority, release, by_mode, by_time, " \
	"by_trace, sender, envid, ret, client"
#define RCPT_COLUMNS                                                                              \
	"key, state, held, due, attempts, notify, address, original, orcpt, action, user, dest, " \
	"status, text, remote"
#define OF_THAT(column) "(SELECT " column " FROM recipient WHERE key = ?1)"
#define OF_MESSAGE	"key >= ?1 << 20 AND key < (?1 + 1) << 20"
#define SCHEDULED	"state < 2 AND held = 0" /* as the index recipient_due says it */

static const char *const sql[Q__MAX] = {
    [Q_BEGIN] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_SAVE] = "SAVEPOINT change",
    [Q_RELEASE] = "RELEASE change",
    [Q_UNDO] = "ROLLBACK TO change",
    [Q_META_GET] = "SELECT next_id, messages, recipients FROM meta WHERE one = 1",
    [Q_META_SET] = "UPDATE meta SET next_id = ?1, messages = ?2, recipients = ?3 WHERE one = 1",

    [Q_MESSAGE_ADD] = "INSERT INTO message(" MESSAGE_COLUMNS ", numbers)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
		      " ?15, ?16)",
    [Q_MESSAGE_GET] = "SELECT " MESSAGE_COLUMNS " FROM message WHERE id = ?1",
    [Q_MESSAGE_LIST] = "SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_MESSAGE_DELETE] = "DELETE FROM message WHERE id = ?1",
    [Q_MESSAGE_FLAGS] = "UPDATE message SET flags = (flags | ?2) & ~?3 WHERE id = ?1",
    [Q_MESSAGE_NUMBERS_GET] = "SELECT numbers FROM message WHERE id = ?1",
    [Q_MESSAGE_NUMBERS_SET] = "UPDATE message SET numbers = ?2 WHERE id = ?1",
    [Q_MESSAGE_REPORT_DUE] =
	"UPDATE message SET report = min(ifnull(report, ?2), ?2) WHERE id = ?1",
    [Q_MESSAGE_REPORT_SET] = "UPDATE message SET report = ?2 WHERE id = ?1 AND report IS NOT NULL",
    /* 1, 2 and 32: IPC_BY_RETURN, IPC_BY_NOTIFY and SPOOL_WARNED */
    [Q_MESSAGE_REPORT_NEXT] =
	"UPDATE message SET report = CASE WHEN (by_mode = 1 AND by_time > ?2)"
	" OR (by_mode = 2 AND by_time > received AND flags & 32 = 0) THEN by_time END"
	" WHERE id = ?1",
    [Q_MESSAGE_DELETE_ALL] = "DELETE FROM message",

    [Q_RCPT_ADD] = "INSERT INTO recipient(" RCPT_COLUMNS ") VALUES"
		   " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    /* Not one SELECT of the row: SQLite would copy that to a table of its own, at thrice the price. */
    [Q_RCPT_ADD_LIKE] =
	"INSERT INTO recipient(" RCPT_COLUMNS ") VALUES"
	" (?11, ?2, " OF_THAT("held") ", ?3, 0, " OF_THAT("notify") ", ?4, " OF_THAT(
	    "original") ", " OF_THAT("orcpt") ", ?5, ?6, ?7, ?8, ?9, ?10)",
    [Q_RCPT_GET] = "SELECT " RCPT_COLUMNS " FROM recipient WHERE key = ?1",
    [Q_RCPT_LIST] = "SELECT key FROM recipient WHERE " OF_MESSAGE " ORDER BY key LIMIT ?2",
    [Q_RCPT_ANY] = "SELECT key FROM recipient WHERE " OF_MESSAGE " LIMIT 1",
    [Q_RCPT_EXPAND] = "UPDATE recipient SET state = ?2, due = ?3, attempts = 0, address = ?4,"
		      " action = ?5, user = ?6, dest = ?7, status = ?8, text = ?9, remote = ?10"
		      " WHERE key = ?1 AND state = 0",
    [Q_RCPT_DELETE] = "DELETE FROM recipient WHERE key = ?1 AND state < 2",
    [Q_RCPT_DELETE_OF] = "DELETE FROM recipient WHERE " OF_MESSAGE,
    [Q_RCPT_DELETE_SETTLED] = "DELETE FROM recipient WHERE key = ?1 AND state >= 2",
    [Q_RCPT_DELETE_ALL] = "DELETE FROM recipient",
    [Q_RCPT_DEFER] = "UPDATE recipient SET attempts = attempts + ?6, due = ?2, status = ?3,"
		     " text = ?4, remote = ?5 WHERE key = ?1 AND state < 2",
    [Q_RCPT_POSTPONE] = "UPDATE recipient SET due = ?2 WHERE key = ?1 AND state < 2",
    [Q_RCPT_SETTLE] = "UPDATE recipient SET state = ?6, attempts = attempts + 1, due = ?2,"
		      " status = ?3, text = ?4, remote = ?5 WHERE key = ?1 AND state < 2",
    /* 1 and 2: IPC_NOTIFY_NEVER and IPC_NOTIFY_SUCCESS */
    [Q_RCPT_HUSH] = "UPDATE recipient SET notify = max(1, notify & ~2) WHERE key = ?1",
    [Q_RCPT_HOLD] = "UPDATE recipient SET held = ?2 WHERE " OF_MESSAGE " AND held <> 2",
    [Q_RCPT_DUE_NOW] = "UPDATE recipient SET due = ?2 WHERE " OF_MESSAGE " AND state < 2"
		       " AND due > ?2",
    [Q_RCPT_DUE_NOW_ALL] =
	"UPDATE recipient SET due = max(?1, min(due, ifnull((SELECT release FROM message"
	" WHERE id = key >> 20), 0))) WHERE state < 2 AND due > ?1",

    [Q_DUE] = "SELECT key FROM recipient WHERE " SCHEDULED " AND due <= ?1 ORDER BY due",
    [Q_DUE_OF] = "SELECT key FROM recipient WHERE " OF_MESSAGE " AND " SCHEDULED,
    [Q_NEXT_DUE] = "SELECT due FROM recipient WHERE " SCHEDULED
		   " AND due > ?1 ORDER BY due LIMIT 1",
    [Q_REPORTS] = "SELECT id FROM message WHERE report IS NOT NULL AND report <= ?1"
		  " ORDER BY report",

    [Q_CHUNK_ADD] = "INSERT INTO chunk(key, data) VALUES (?1, ?2)",
    [Q_CHUNK_GET] = "SELECT data FROM chunk WHERE key = ?1",
    [Q_CHUNK_DELETE] = "DELETE FROM chunk WHERE key >= ?1 AND key < ?2",
    [Q_CHUNK_DELETE_SOME] =
	"DELETE FROM chunk WHERE key IN (SELECT key FROM chunk"
	" WHERE key >= ?1 << 24 AND key < (?1 + 1) << 24 ORDER BY key LIMIT 16)",
    [Q_INCOMING_ADD] = "INSERT INTO incoming(id) VALUES (?1)",
    [Q_INCOMING_DELETE] = "DELETE FROM incoming WHERE id = ?1",
    [Q_INCOMING_FORGET] = "INSERT OR IGNORE INTO garbage(id) SELECT id FROM incoming",
    [Q_INCOMING_CLEAR] = "DELETE FROM incoming",
    [Q_GARBAGE_ADD] = "INSERT OR IGNORE INTO garbage(id) VALUES (?1)",
    [Q_GARBAGE_ADD_ALL] = "INSERT OR IGNORE INTO garbage(id) SELECT id FROM message",
    [Q_GARBAGE_GET] = "SELECT id FROM garbage LIMIT 1",
    [Q_GARBAGE_DELETE] = "DELETE FROM garbage WHERE id = ?1",

    [Q_DAMAGED_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM quarantine LIMIT 1000)",
    [Q_DAMAGED_RCPT_COPY] =
	"INSERT OR IGNORE INTO quarantine(what, key, seen, why, row)"
	" SELECT 'recipient', key, ?2, ?3, quote(state) || ',' || quote(due) || ','"
	" || quote(attempts) || ',' || quote(notify) || ',' || quote(substr(address, 1, 1024))"
	" || ',' || quote(substr(original, 1, 1024)) || ',' || quote(substr(orcpt, 1, 1024))"
	" || ',' || quote(substr(action, 1, 1024)) || ',' || quote(substr(user, 1, 1024))"
	" || ',' || quote(substr(dest, 1, 1024)) || ',' || quote(substr(text, 1, 1024))"
	" FROM recipient WHERE key = ?1",
    [Q_DAMAGED_MESSAGE_COPY] =
	"INSERT OR IGNORE INTO quarantine(what, key, seen, why, row)"
	" SELECT 'message', id, ?2, ?3, quote(flags) || ',' || quote(received) || ','"
	" || quote(expires) || ',' || quote(size) || ',' || quote(nchunks) || ','"
	" || quote(substr(sender, 1, 1024)) || ',' || quote(substr(envid, 1, 1024)) || ','"
	" || quote(substr(ret, 1, 1024)) || ',' || quote(substr(client, 1, 1024)) || ','"
	" || quote(priority) || ',' || quote(release) || ',' || quote(by_mode) || ','"
	" || quote(by_time) || ',' || quote(by_trace) FROM message WHERE id = ?1",
    [Q_DAMAGED_ADD] = "INSERT OR IGNORE INTO quarantine(what, key, seen, why)"
		      " VALUES (?4, ?1, ?2, ?3)",
    [Q_DAMAGED_RCPT_HOLD] = "UPDATE recipient SET held = 2 WHERE key = ?1",
    [Q_DAMAGED_MESSAGE_HOLD] = "UPDATE recipient SET held = 2 WHERE " OF_MESSAGE " AND held <> 2",
    [Q_DAMAGED_MESSAGE_NO_REPORT] = "UPDATE message SET report = NULL WHERE id = ?1",

    [Q_TLS_GET] = "SELECT level, since, seen FROM tls WHERE domain = ?1",
    [Q_TLS_SET] = "UPDATE tls SET level = ?2, since = ?3, seen = ?4 WHERE domain = ?1",
    [Q_TLS_ADD] = "INSERT INTO tls(domain, level, since, seen) VALUES (?1, ?2, ?3, ?4)",
    [Q_TLS_COUNT] = "SELECT count(*) FROM tls",
    [Q_TLS_LIST] = "SELECT domain, level, since, seen FROM tls WHERE domain > ?1 AND seen > ?3"
		   " ORDER BY domain LIMIT ?2",
    [Q_TLS_FORGET] = "DELETE FROM tls WHERE domain = lower(?1)",
    [Q_TLS_FORGET_ALL] = "DELETE FROM tls",
    [Q_TLS_OLD] = "SELECT 1 FROM tls WHERE seen <= ?1 LIMIT 1",
    [Q_TLS_PRUNE] = "DELETE FROM tls WHERE domain IN"
		    " (SELECT domain FROM tls WHERE seen <= ?1 ORDER BY seen LIMIT 64)",

    [Q_FREE_PAGES] = "PRAGMA freelist_count",
    [Q_ALL_PAGES] = "PRAGMA page_count",
    [Q_VACUUM_SOME] = "PRAGMA incremental_vacuum(256)",
};

int
spool_prepare_all(struct spool *s)
{
	size_t i;
	int rc;

	for (i = 0; i < Q__MAX; i++) {
		rc = sqlite3_prepare_v3(
		    s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i], NULL);
		if (rc != SQLITE_OK) {
			errno = spool_schema_errno(rc);
			return -1;
		}
	}
	return 0;
}

void
spool_finalize_all(struct spool *s)
{
	size_t i;

	for (i = 0; i < Q__MAX; i++) {
		(void)sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
}

/* Binding what the caller keeps allocates nothing, so these can't fail. */
void
spool_bind_int(struct spool *s, enum statement q, int n, int64_t value)
{
	(void)sqlite3_bind_int64(s->stmt[q], n, value);
}

void
spool_bind_text(struct spool *s, enum statement q, int n, const char *value, size_t max)
{
	size_t len = value == NULL ? 0 : strnlen(value, max);

	(void)sqlite3_bind_text(s->stmt[q], n, value == NULL ? "" : value, (int)len, SQLITE_STATIC);
}

void
spool_bind_blob(struct spool *s, enum statement q, int n, struct span value)
{
	(void)sqlite3_bind_blob(s->stmt[q], n, value.len == 0 ? (const void *)"" : value.data,
	    (int)value.len, SQLITE_STATIC);
}

/* Damage met by a statement on an indexed table may be the index's. */
static int
statement_failed(struct spool *s, enum statement q, int rc)
{
	if ((rc & 0xff) == SQLITE_CORRUPT && q >= Q_MESSAGE_ADD && q <= Q_REPORTS)
		spool_doubt(
		    s, q >= Q_RCPT_ADD && q <= Q_NEXT_DUE ? SPOOL_INDEX_DUE : SPOOL_INDEX_REPORT);
	return spool_sql_failed(s, rc);
}

int
spool_run(struct spool *s, enum statement q)
{
	int rc;

	while ((rc = sqlite3_step(s->stmt[q])) == SQLITE_ROW)
		continue;
	(void)sqlite3_reset(s->stmt[q]);
	return rc == SQLITE_DONE ? 0 : statement_failed(s, q, rc);
}

int
spool_step(struct spool *s, enum statement q)
{
	int rc = sqlite3_step(s->stmt[q]);

	if (rc == SQLITE_ROW)
		return 1;
	(void)sqlite3_reset(s->stmt[q]);
	return rc == SQLITE_DONE ? 0 : statement_failed(s, q, rc);
}

void
spool_end(struct spool *s, enum statement q)
{
	(void)sqlite3_reset(s->stmt[q]);
}

int
spool_ask(struct spool *s, enum statement q, uint64_t *out, int n)
{
	int i, got = spool_step(s, q);
	int64_t value;

	if (got == 1) {
		for (i = 0; i < n; i++) {
			value = sqlite3_column_int64(s->stmt[q], i);
			out[i] = value < 0 ? 0 : (uint64_t)value;
		}
		spool_end(s, q);
		return 0;
	}
	if (got == 0)
		errno = ENOENT;
	return -1;
}

uint64_t
spool_changed(const struct spool *s)
{
	return (uint64_t)sqlite3_changes64(s->db);
}
