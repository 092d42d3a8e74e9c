/* SPDX-License-Identifier: ISC */
/*
 * The database file: how it is opened, its tables, and how older ones become new.
 *
 * Invariant: a handle that leaves here has an empty log, so that no commit
 * ever lands behind frames whose durability is unknown (after a failed fsync
 * the kernel may show bytes that the disk does not have), and every setting
 * below is in force.  Nothing here is fatal: the caller decides.
 */
#include "queue/spool_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

#define APPLICATION_ID 0x506f5370 /* "PoSp" */

/*
 * Exclusive before anything that reads the file: the log's index then lives on
 * the heap, not in a mapped -shm file.  Incremental vacuum has to be asked for
 * before the first table is made.
 */
static const char *const settings[] = {
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA page_size = 4096",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = OFF",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",
};

/* The largest that does not pass the caller's ceiling is taken. */
static const struct {
	size_t bytes;
	const char *sql;
} caches[] = {
    {256U << 10, "PRAGMA cache_size = -256"},
    {512U << 10, "PRAGMA cache_size = -512"},
    {1U << 20, "PRAGMA cache_size = -1024"},
    {2U << 20, "PRAGMA cache_size = -2048"},
    {4U << 20, "PRAGMA cache_size = -4096"},
    {8U << 20, "PRAGMA cache_size = -8192"},
    {16U << 20, "PRAGMA cache_size = -16384"},
    {64U << 20, "PRAGMA cache_size = -65536"},
};

#define INDEX_REPORT "CREATE INDEX message_report ON message(report) WHERE report IS NOT NULL;"
#define INDEX_DUE    "CREATE INDEX recipient_due ON recipient(due) WHERE state < 2 AND held = 0;"

/*
 * Step n takes a database of version n (PRAGMA user_version) to n + 1, in one
 * transaction.  A step that was released is never edited: add another.
 */
static const char *const migrations[] = {
    "PRAGMA application_id = 0x506f5370;"
    "CREATE TABLE meta("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " next_id INTEGER NOT NULL, messages INTEGER NOT NULL, recipients INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, 0, 0, 0);"
    "CREATE TABLE message("
    " id INTEGER PRIMARY KEY, flags INTEGER NOT NULL, received INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, size INTEGER NOT NULL, nchunks INTEGER NOT NULL,"
    " numbers INTEGER NOT NULL, report INTEGER,"
    " sender TEXT NOT NULL, envid TEXT NOT NULL, ret TEXT NOT NULL,"
    " client TEXT NOT NULL) STRICT;" INDEX_REPORT "CREATE TABLE recipient("
    " key INTEGER PRIMARY KEY, state INTEGER NOT NULL, held INTEGER NOT NULL,"
    " due INTEGER NOT NULL, attempts INTEGER NOT NULL, notify INTEGER NOT NULL,"
    " address TEXT NOT NULL, original TEXT NOT NULL, orcpt TEXT NOT NULL,"
    " action TEXT NOT NULL, user TEXT NOT NULL, dest TEXT NOT NULL,"
    " status TEXT NOT NULL, text TEXT NOT NULL, remote TEXT NOT NULL) STRICT;" INDEX_DUE
    "CREATE TABLE chunk(key INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE incoming(id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE garbage(id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE quarantine("
    " what TEXT NOT NULL, key INTEGER NOT NULL, seen INTEGER NOT NULL, why TEXT NOT NULL,"
    " row TEXT, PRIMARY KEY (what, key)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;",

    "ALTER TABLE message ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN release INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN by_mode INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN by_time INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN by_trace INTEGER NOT NULL DEFAULT 0;"
    "PRAGMA user_version = 2;",

    "CREATE TABLE tls("
    " domain TEXT PRIMARY KEY, level INTEGER NOT NULL, since INTEGER NOT NULL,"
    " seen INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tls_seen ON tls(seen);"
    "PRAGMA user_version = 3;",
};

int
spool_schema_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	default:
		return EIO;
	}
}

/* Runs fixed text; the first column of its first row as a number, or 0. */
static int
schema_run(sqlite3 *db, const char *sql, int64_t *first)
{
	sqlite3_stmt *st = NULL;
	int rc;

	if ((rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL)) != SQLITE_OK)
		goto out;
	if ((rc = sqlite3_step(st)) == SQLITE_ROW && first != NULL)
		*first = sqlite3_column_int64(st, 0);
	while (rc == SQLITE_ROW)
		rc = sqlite3_step(st);
out:
	(void)sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return 0;
	errno = spool_schema_errno(rc);
	return -1;
}

static int
schema_set_cache(sqlite3 *db, size_t bytes)
{
	size_t i, best = 0;

	for (i = 1; i < NITEMS(caches); i++)
		if (caches[i].bytes <= bytes)
			best = i;
	return schema_run(db, caches[best].sql, NULL);
}

/* SQLite answers a journal mode it can't have with the one it keeps. */
static int
schema_check_log(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	bool wal = false;

	if (sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_TEXT)
		wal = strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
	(void)sqlite3_finalize(st);
	errno = EIO;
	return wal ? 0 : -1;
}

static int
schema_settings(sqlite3 *db, size_t cache_bytes)
{
	size_t i;

	if (sqlite3_extended_result_codes(db, 1) != SQLITE_OK ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) != SQLITE_OK) {
		errno = EIO;
		return -1;
	}
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	for (i = 0; i < NITEMS(settings); i++)
		if (schema_run(db, settings[i], NULL) == -1)
			return -1;
	return schema_check_log(db) == -1 ? -1 : schema_set_cache(db, cache_bytes);
}

/* True for a file that is new, or that an earlier Postern made. */
static bool
schema_is_ours(sqlite3 *db, int64_t version)
{
	int64_t application = 0, tables = 0;

	if (schema_run(db, "PRAGMA application_id", &application) == -1 ||
	    schema_run(db, "SELECT count(*) FROM sqlite_schema", &tables) == -1)
		return false;
	if (version == 0)
		return application == 0 && tables == 0;
	return application == APPLICATION_ID && version <= (int64_t)NITEMS(migrations);
}

static int
schema_migrate_step(sqlite3 *db, const char *sql)
{
	int rc;

	if (schema_run(db, "BEGIN IMMEDIATE", NULL) == -1)
		return -1;
	if ((rc = sqlite3_exec(db, sql, NULL, NULL, NULL)) == SQLITE_OK &&
	    schema_run(db, "COMMIT", NULL) == 0)
		return 0;
	if (rc != SQLITE_OK)
		errno = spool_schema_errno(rc);
	return -1; /* the caller closes the handle, which rolls back */
}

static int
schema_migrate(sqlite3 *db)
{
	int64_t version = 0;

	if (schema_run(db, "PRAGMA user_version", &version) == -1)
		return -1;
	if (version < 0 || !schema_is_ours(db, version)) {
		log_warn("event=spool-refused reason=\"not a spool, or a newer version's\"");
		errno = EPROTO;
		return -1;
	}
	for (; version < (int64_t)NITEMS(migrations); version++)
		if (schema_migrate_step(db, migrations[version]) == -1)
			return -1;
	return 0;
}

/* Through a descriptor of its own: one whose fsync failed is never asked again. */
static int
directory_sync(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc, error;

	if (fd == -1)
		return -1;
	rc = fsync(fd);
	error = errno;
	(void)close(fd);
	errno = error;
	return rc;
}

int
spool_schema_open(const char *path, int dirfd, size_t cache_bytes, sqlite3 **out)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_PRIVATECACHE;
	sqlite3 *db = NULL;
	int rc, saved;

	*out = NULL;
	if ((rc = sqlite3_open_v2(path, &db, flags, NULL)) != SQLITE_OK) {
		errno = spool_schema_errno(rc);
		goto fail;
	}
	if (schema_settings(db, cache_bytes) == -1)
		goto fail;
	/* An I/O error here or in the directory leaves the old log as it was. */
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (rc != SQLITE_OK) {
		errno = spool_schema_errno(rc);
		goto fail;
	}
	if (schema_migrate(db) == -1 || directory_sync(dirfd) == -1)
		goto fail;
	*out = db;
	return 0;
fail:
	saved = errno;
	(void)sqlite3_close(db);
	errno = saved;
	return -1;
}

/*
 * REINDEX and DROP INDEX walk the old pages and fail at a damaged one.  So the
 * index is struck from the schema instead, its pages are given up, and it is
 * made again from the rows; all in one transaction, so that a table that can't
 * be read leaves what there was.
 */
static const char *const rebuilds[SPOOL_INDICES] = {
    [SPOOL_INDEX_DUE] = "DELETE FROM sqlite_schema WHERE type = 'index' AND name = 'recipient_due';"
			"PRAGMA writable_schema = RESET;" INDEX_DUE,
    [SPOOL_INDEX_REPORT] =
	"DELETE FROM sqlite_schema WHERE type = 'index' AND name = 'message_report';"
	"PRAGMA writable_schema = RESET;" INDEX_REPORT,
};

static int
rebuild_run(sqlite3 *db, const char *sql)
{
	int rc;

	if ((rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL)) != SQLITE_OK)
		return rc;
	if ((rc = sqlite3_exec(db, "PRAGMA writable_schema = ON", NULL, NULL, NULL)) == SQLITE_OK &&
	    (rc = sqlite3_exec(db, sql, NULL, NULL, NULL)) == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (sqlite3_get_autocommit(db) == 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	/* Reads the schema again, whichever of the two it is now. */
	(void)sqlite3_exec(db, "PRAGMA writable_schema = RESET", NULL, NULL, NULL);
	return rc;
}

int
spool_schema_rebuild(sqlite3 *db, enum spool_index which)
{
	static const char *const names[SPOOL_INDICES] = {
	    [SPOOL_INDEX_DUE] = "recipient_due", [SPOOL_INDEX_REPORT] = "message_report"};
	int rc;

	if ((rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL)) == SQLITE_OK)
		rc = rebuild_run(db, rebuilds[which]);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	log_warn("event=spool-index-rebuild index=%s result=\"%s\"", names[which],
	    rc == SQLITE_OK ? "ok" : sqlite3_errstr(rc));
	return rc;
}
