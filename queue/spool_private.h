/* SPDX-License-Identifier: ISC */
#ifndef QUEUE_SPOOL_PRIVATE_H
#define QUEUE_SPOOL_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/base/map.h"
#include "queue/spool.h"
#include "queue/spool_schema.h"

/* What the queue/spool*.c files share, and nobody else sees. */

#define SPOOL_CHUNK_KEY(id, seq) ((int64_t)((id) << 24 | (uint64_t)(seq)))
#define SPOOL_NUMBER_MAX	 0xfffffU /* of a recipient: the key's low bits */

/* recipient.held: why a recipient is not in the schedule though its state is EXPAND or READY. */
enum held { HELD_NO, HELD_ADMIN, HELD_DAMAGED };

enum statement {
	Q_BEGIN,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_SAVE,
	Q_RELEASE,
	Q_UNDO,
	Q_META_GET,
	Q_META_SET,
	Q_MESSAGE_ADD,
	Q_MESSAGE_GET,
	Q_MESSAGE_LIST,
	Q_MESSAGE_DELETE,
	Q_MESSAGE_FLAGS,
	Q_MESSAGE_NUMBERS_GET,
	Q_MESSAGE_NUMBERS_SET,
	Q_MESSAGE_REPORT_DUE,
	Q_MESSAGE_REPORT_SET,
	Q_MESSAGE_REPORT_NEXT, /* after a report, or at first: what is owed then */
	Q_MESSAGE_DELETE_ALL,
	Q_RCPT_ADD,
	Q_RCPT_ADD_LIKE,
	Q_RCPT_GET,
	Q_RCPT_LIST,
	Q_RCPT_ANY,
	Q_RCPT_EXPAND,
	Q_RCPT_DELETE,
	Q_RCPT_DELETE_OF,
	Q_RCPT_DELETE_SETTLED, /* one */
	Q_RCPT_DELETE_ALL,
	Q_RCPT_DEFER,
	Q_RCPT_POSTPONE,
	Q_RCPT_SETTLE,
	Q_RCPT_HUSH,
	Q_RCPT_HOLD,
	Q_RCPT_DUE_NOW,
	Q_RCPT_DUE_NOW_ALL,
	Q_DUE,
	Q_DUE_OF,
	Q_NEXT_DUE,
	Q_REPORTS,
	Q_CHUNK_ADD,
	Q_CHUNK_GET,
	Q_CHUNK_DELETE,
	Q_CHUNK_DELETE_SOME,
	Q_INCOMING_ADD,
	Q_INCOMING_DELETE,
	Q_INCOMING_FORGET,
	Q_INCOMING_CLEAR,
	Q_GARBAGE_ADD,
	Q_GARBAGE_ADD_ALL,
	Q_GARBAGE_GET,
	Q_GARBAGE_DELETE,
	Q_DAMAGED_COUNT,
	Q_DAMAGED_RCPT_COPY,
	Q_DAMAGED_MESSAGE_COPY,
	Q_DAMAGED_ADD,
	Q_DAMAGED_RCPT_HOLD,
	Q_DAMAGED_MESSAGE_HOLD,
	Q_DAMAGED_MESSAGE_NO_REPORT,
	Q_TLS_GET,
	Q_TLS_SET,
	Q_TLS_ADD,
	Q_TLS_COUNT,
	Q_TLS_LIST,
	Q_TLS_FORGET,
	Q_TLS_FORGET_ALL,
	Q_TLS_OLD,
	Q_TLS_PRUNE,
	Q_FREE_PAGES,
	Q_ALL_PAGES,
	Q_VACUUM_SOME,
	Q__MAX
};

/* What a change means for its message when its group fails, and who may see it before. */
enum change_kind {
	CHANGE_PLAIN,  /* happening or not are both legal: only the done is told */
	CHANGE_EXPAND, /* hidden from the schedule until durable */
	CHANGE_NEW,    /* hidden, and gone for good when the group fails */
	CHANGE_REPORT, /* hidden; kept if recovery brings it back: the rows it settles are gone then */
};

struct change { /* owned by the open group */
	spool_done done;
	void *arg;
	uint64_t id; /* the message that is hidden; a new or report message's own */
	enum change_kind kind;
	int error; /* of this change alone */
};

struct incoming { /* a message being received; owned by spool.incoming */
	uint64_t id, bytes;
	uint64_t group;	   /* the last group that holds rows of it */
	uint32_t next_seq; /* of spool_append() */
	uint32_t rows;	   /* chunk rows written, from number 1 */
	bool spilled;	   /* rows are on disk, and one in table incoming */
	int error;	   /* why it can't be finished any more, or 0 */
	struct buf buf;	   /* received, in no row yet */
};

struct condemned { /* an id whose rows must go before anything else is committed */
	uint64_t id;
	bool unless_message; /* but not if it has become a whole message */
};

struct totals { /* the row of table meta */
	uint64_t next_id, messages, recipients;
};

struct spool {
	struct spool_options options;
	char *directory, *path;
	int dirfd;
	int64_t now_s; /* as last told */

	sqlite3 *db; /* NULL: the store is down */
	sqlite3_stmt *stmt[Q__MAX];
	int64_t retry_s;    /* down: when to try again */
	unsigned int tries; /* down: attempts so far */

	bool in_tx;   /* a transaction is open */
	int doomed;   /* the open group is rolled back and will answer this errno */
	bool suspect; /* an I/O error: this handle must not be used for another commit */
	/* Indices that may be damaged, a bit each: made anew between groups, not before rebuild_s. */
	unsigned int index_doubt;
	int64_t rebuild_s[SPOOL_INDICES];
	uint64_t group;	   /* number of the open group */
	size_t open_bytes; /* chunk bytes written in it */
	struct change *changes;
	size_t nchanges, changes_cap;
	struct condemned *condemned;
	size_t ncondemned, condemned_cap;
	struct map *hidden;  /* ids of messages whose last change isn't durable */
	struct map *blocked; /* damaged rows that could not be marked on disk */

	struct map *incoming;
	size_t held_bytes; /* of all incoming.buf */

	struct totals totals, totals_before; /* now, and before the open group */
	bool garbage;			     /* table garbage may have rows */
	int wal_frames, checkpoint_at;	     /* frames in the log; when to check point it */
	bool room_known;
	uint64_t room;	      /* free bytes of the file system, about */
	int visiting;	      /* inside a caller's callback: no call is legal */
	uint64_t tls_domains; /* that are remembered, about; once they were counted */
	bool tls_counted;
	struct spool_stats stats;
	uint8_t row[SPOOL_CHUNK_MAX];
};

/* -- spool_statement.c: every statement, prepared once -- */
int spool_prepare_all(struct spool *s) WARN_UNUSED; /* -1: EIO, ENOMEM */
void spool_finalize_all(struct spool *s);
/* Parameters and columns count from 1 and 0, as in SQLite. */
void spool_bind_int(struct spool *s, enum statement q, int n, int64_t value);
/* At most max octets of it; value must live until the statement has run; NULL is "". */
void spool_bind_text(struct spool *s, enum statement q, int n, const char *value, size_t max);
void spool_bind_blob(struct spool *s, enum statement q, int n, struct span value);
/* Runs a statement that gives no rows.  -1: see spool_sql_failed(). */
int spool_run(struct spool *s, enum statement q) WARN_UNUSED;
/* The next row: 1; the end: 0; -1 as above.  spool_end() when done with the rows. */
int spool_step(struct spool *s, enum statement q) WARN_UNUSED;
void spool_end(struct spool *s, enum statement q);
/* One row of whole numbers, not negative: 0; ENOENT without a row. */
int spool_ask(struct spool *s, enum statement q, uint64_t *out, int n) WARN_UNUSED;
uint64_t spool_changed(const struct spool *s); /* rows the last spool_run() changed */

/* -- spool_store.c: the handle, the group, the log -- */
/* Always -1.  Sets errno; an error that costs the whole group dooms it. */
int spool_sql_failed(struct spool *s, int rc);
int spool_tx(
    struct spool *s) WARN_UNUSED; /* joins the open group.  -1: errno of the doomed group, EIO */
int
spool_up(struct spool *s, int64_t now_s) WARN_UNUSED; /* opens a store that is down, if it's time */
void spool_down(struct spool *s);
int spool_group_commit(struct spool *s) WARN_UNUSED;
void spool_doubt(struct spool *s, enum spool_index which);   /* it may be damaged */
void spool_rebuild_doubtful(struct spool *s, int64_t now_s); /* between groups */
/* Records a change of the open group; result 0 or an errno. */
void spool_group_add(struct spool *s, const struct change *c);
int spool_hide(struct spool *s, uint64_t id) WARN_UNUSED;
void spool_condemn(struct spool *s, uint64_t id, bool unless_message);
void spool_log_shorten(struct spool *s); /* check points the log when it is long */

/* -- spool_receive.c -- */
/* Writes message, recipients and what isn't yet written of the body, and forgets inc. */
int spool_store_message(struct spool *s, const struct spool_message *m, struct span trace,
    const struct spool_rcpt *rcpts, size_t nrcpts) WARN_UNUSED;
void spool_incoming_doom(struct spool *s, int error); /* those with rows in the open group */
void spool_incoming_free(void *incoming);

/* -- spool_row.c: rows to structs and back, and what to do with bad ones -- */
int spool_check_message(const struct spool_message *m); /* -1 EINVAL: it would not fit */
int spool_check_rcpt(const struct spool_rcpt *r);	/* the same */
int
spool_add_message_row(struct spool *s, const struct spool_message *m, size_t nrcpts) WARN_UNUSED;
int spool_add_rcpt_row(struct spool *s, const struct spool_rcpt *r, bool held) WARN_UNUSED;
/* The row the statement stands on.  -1 EILSEQ: its content is not legal. */
int spool_get_message_row(struct spool *s, enum statement q, struct spool_message *m) WARN_UNUSED;
int spool_get_rcpt_row(struct spool *s, enum statement q, struct spool_rcpt *r) WARN_UNUSED;
void spool_quarantine_rcpt(struct spool *s, uint64_t key, const char *why);
/* reportable: the row itself is good, so that failed recipients can still be reported on. */
void spool_quarantine_message(struct spool *s, uint64_t id, const char *why, bool reportable);
bool spool_is_blocked(const struct spool *s, uint64_t key);
bool spool_message_is_blocked(const struct spool *s, uint64_t id);

/* -- spool_erase.c: taking messages away, in bounded steps -- */
int spool_erase_message(
    struct spool *s, uint64_t id) WARN_UNUSED; /* row, recipients and body; ENOENT */
int spool_erase_empty(struct spool *s, uint64_t id) WARN_UNUSED; /* if it has no recipient left */
int spool_erase_all(struct spool *s) WARN_UNUSED;
int spool_erase_condemned(struct spool *s) WARN_UNUSED;
int spool_erase_some_garbage(struct spool *s) WARN_UNUSED;

#endif
