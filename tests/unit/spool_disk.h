/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SPOOL_DISK_H
#define TESTS_UNIT_SPOOL_DISK_H

/*
 * A disk that fails on demand, as an SQLite VFS in memory.
 *
 * It keeps each file twice: as processes see it, and as it is on the platter.
 * A sync that succeeds carries the bytes written since the last one over; one
 * that fails forgets that they were ever dirty, as Linux does: the next sync
 * succeeds, readers see them, the platter never does.  disk_power_cut() leaves
 * what is on the platter, and of the bytes still dirty any 512-octet blocks.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DISK_FILES    3
#define DISK_FILE_MAX (24U << 20)
#define DISK_BLOCK    512

enum disk_op { DISK_WRITE, DISK_SYNC, DISK_OPEN, DISK_TRUNCATE, DISK_READ, DISK_OPS };

struct disk_file {
	char name[128];
	uint8_t *seen, *platter, *dirty; /* dirty: one flag a block */
	size_t seen_len, platter_len;
	size_t used; /* no byte past it was ever written */
};

static struct {
	struct disk_file files[DISK_FILES];
	/* The fault: the operation of kind op that comes after countdown others, then burst - 1. */
	bool armed, dead; /* dead: nothing works any more */
	enum disk_op op;
	int error;
	long countdown, burst;
	long injected;	 /* faults that happened */
	long resynced;	 /* syncs of a handle whose sync had failed: a defect */
	uint32_t chance; /* of the power cut */
} disk;

struct disk_handle {
	sqlite3_file base;
	struct disk_file *file;
	bool failed; /* a sync of this handle failed */
};

static __attribute__((unused)) void
disk_arm(enum disk_op op, int error, long countdown, long burst)
{
	disk.op = op;
	disk.error = error;
	disk.countdown = countdown;
	disk.burst = burst;
	disk.armed = true;
}

static int
disk_fault(enum disk_op op)
{
	if (disk.dead)
		return SQLITE_IOERR;
	if (!disk.armed || op != disk.op)
		return SQLITE_OK;
	if (disk.countdown-- > 0)
		return SQLITE_OK;
	if (disk.burst-- <= 0) {
		disk.armed = false;
		return SQLITE_OK;
	}
	disk.injected++;
	return disk.error;
}

static int
disk_close(sqlite3_file *f)
{
	(void)f;
	return SQLITE_OK;
}

static int
disk_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
	struct disk_file *d = ((struct disk_handle *)f)->file;
	size_t start = (size_t)at, have = 0;

	if (disk_fault(DISK_READ) != SQLITE_OK)
		return SQLITE_IOERR_READ;
	if (start < d->seen_len)
		have = d->seen_len - start < (size_t)n ? d->seen_len - start : (size_t)n;
	memcpy(buf, d->seen + start, have);
	memset((uint8_t *)buf + have, 0, (size_t)n - have);
	return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int
disk_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
	struct disk_file *d = ((struct disk_handle *)f)->file;
	size_t start = (size_t)at, end = start + (size_t)n, b;
	int rc = disk_fault(DISK_WRITE);

	if (rc != SQLITE_OK)
		return rc == SQLITE_IOERR ? SQLITE_IOERR_WRITE : rc;
	if (end > DISK_FILE_MAX)
		return SQLITE_FULL;
	memcpy(d->seen + start, buf, (size_t)n);
	if (end > d->seen_len)
		d->seen_len = end;
	if (end > d->used)
		d->used = end;
	for (b = start / DISK_BLOCK; b <= (end - 1) / DISK_BLOCK; b++)
		d->dirty[b] = 1;
	return SQLITE_OK;
}

static int
disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct disk_file *d = ((struct disk_handle *)f)->file;

	if (disk_fault(DISK_TRUNCATE) != SQLITE_OK)
		return SQLITE_IOERR_TRUNCATE;
	if ((size_t)size < d->seen_len)
		memset(d->seen + size, 0, d->seen_len - (size_t)size);
	d->seen_len = (size_t)size;
	return SQLITE_OK;
}

static void
disk_flush_blocks(struct disk_file *d, bool (*take)(void))
{
	size_t b;

	for (b = 0; b <= (d->used - 1) / DISK_BLOCK && d->used > 0; b++) {
		if (d->dirty[b] != 0 && take())
			memcpy(d->platter + b * DISK_BLOCK, d->seen + b * DISK_BLOCK, DISK_BLOCK);
		d->dirty[b] = 0;
	}
}

static bool
disk_take_all(void)
{
	return true;
}

static __attribute__((unused)) bool
disk_take_some(void)
{
	disk.chance = disk.chance * 1664525 + 1013904223;
	return disk.chance >> 31 != 0;
}

static int
disk_sync(sqlite3_file *f, int flags)
{
	struct disk_handle *h = (struct disk_handle *)f;
	struct disk_file *d = h->file;

	(void)flags;
	if (h->failed)
		disk.resynced++;
	if (disk_fault(DISK_SYNC) != SQLITE_OK) {
		h->failed = true;
		memset(d->dirty, 0, DISK_FILE_MAX / DISK_BLOCK);
		return SQLITE_IOERR_FSYNC;
	}
	disk_flush_blocks(d, disk_take_all);
	d->platter_len = d->seen_len;
	return SQLITE_OK;
}

/* The power goes; the next handle sees what was on the platter. */
static __attribute__((unused)) void
disk_power_cut(uint32_t chance)
{
	size_t i;

	disk.chance = chance;
	disk.armed = false;
	for (i = 0; i < DISK_FILES; i++) {
		struct disk_file *d = &disk.files[i];

		disk_flush_blocks(d, disk_take_some);
		if (d->seen_len > d->platter_len && disk_take_some())
			d->platter_len = d->seen_len;
		memcpy(d->seen, d->platter, d->used);
		if (d->platter_len < d->used)
			memset(d->seen + d->platter_len, 0, d->used - d->platter_len);
		d->seen_len = d->platter_len;
	}
}

static void
disk_format(void)
{
	size_t i;

	disk.armed = false;
	disk.injected = disk.resynced = 0;
	for (i = 0; i < DISK_FILES; i++) {
		struct disk_file *d = &disk.files[i];

		if (d->seen == NULL) {
			d->seen = calloc(3, DISK_FILE_MAX);
			if (d->seen == NULL)
				abort();
			d->platter = d->seen + DISK_FILE_MAX;
			d->dirty = d->platter + DISK_FILE_MAX;
		} else {
			memset(d->seen, 0, d->used);
			memset(d->platter, 0, d->used);
			memset(d->dirty, 0, DISK_FILE_MAX / DISK_BLOCK);
		}
		d->name[0] = '\0';
		d->seen_len = d->platter_len = d->used = 0;
	}
}

static int
disk_size(sqlite3_file *f, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)((struct disk_handle *)f)->file->seen_len;
	return SQLITE_OK;
}

static int
disk_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK;
}

static int
disk_reserved(sqlite3_file *f, int *out)
{
	(void)f;
	*out = 0;
	return SQLITE_OK;
}

static int
disk_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int
disk_sector(sqlite3_file *f)
{
	(void)f;
	return DISK_BLOCK;
}

static int
disk_traits(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static struct disk_file *
disk_find(const char *name, bool create)
{
	size_t i;

	for (i = 0; i < DISK_FILES; i++)
		if (strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	for (i = 0; create && i < DISK_FILES; i++)
		if (disk.files[i].name[0] == '\0') {
			strncpy(disk.files[i].name, name, sizeof(disk.files[i].name) - 1);
			return &disk.files[i];
		}
	return NULL;
}

static int
disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	/* Version 1: no shared memory, so the log's index must be on the heap. */
	static const sqlite3_io_methods methods = {1, disk_close, disk_read, disk_write,
	    disk_truncate, disk_sync, disk_size, disk_lock, disk_lock, disk_reserved, disk_control,
	    disk_sector, disk_traits, NULL, NULL, NULL, NULL, NULL, NULL};
	struct disk_handle *h = (struct disk_handle *)f;

	(void)vfs;
	h->base.pMethods = NULL;
	h->failed = false;
	if (name == NULL || disk_fault(DISK_OPEN) != SQLITE_OK)
		return SQLITE_CANTOPEN;
	if ((h->file = disk_find(name, true)) == NULL)
		return SQLITE_CANTOPEN;
	h->base.pMethods = &methods;
	if (out != NULL)
		*out = flags;
	return SQLITE_OK;
}

static int
disk_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct disk_file *d = disk_find(name, false);

	(void)vfs;
	(void)sync_dir;
	if (d == NULL)
		return SQLITE_IOERR_DELETE_NOENT;
	memset(d->seen, 0, d->used);
	memset(d->platter, 0, d->used);
	memset(d->dirty, 0, DISK_FILE_MAX / DISK_BLOCK);
	d->name[0] = '\0';
	d->seen_len = d->platter_len = d->used = 0;
	return SQLITE_OK;
}

static int
disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	struct disk_file *d = disk_find(name, false);

	(void)vfs;
	*out = d != NULL && (flags != SQLITE_ACCESS_EXISTS || d->seen_len > 0);
	return SQLITE_OK;
}

static int
disk_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	(void)sqlite3_snprintf(size, out, "%s", name);
	return SQLITE_OK;
}

/* Makes it the default VFS of this process. */
static int
disk_register(void)
{
	static sqlite3_vfs vfs;
	const sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);

	vfs = *unix_vfs;
	vfs.zName = "disk";
	vfs.pNext = NULL;
	vfs.szOsFile = (int)sizeof(struct disk_handle);
	vfs.xOpen = disk_open;
	vfs.xDelete = disk_delete;
	vfs.xAccess = disk_access;
	vfs.xFullPathname = disk_path;
	disk_format();
	return sqlite3_vfs_register(&vfs, 1);
}

#endif
