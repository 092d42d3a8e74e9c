/* SPDX-License-Identifier: ISC */
/*
 * The system calls that SQLite's "unix" VFS makes, those that name a file
 * replaced (sqlite3_vfs.xSetSystemCall).
 *
 * A database is called "/descriptor/N", and to open it is to take descriptor N.
 * Nothing else exists.  So the journal of another process is not seen, either:
 * its locks keep us from reading while it writes, and what a crash of it left half
 * done is put right when the next writer opens the database.
 */
#include "lib/sqlite/vfs.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

#define PREFIX "/descriptor/"

void
vfs_path(char path[VFS_PATH_MAX], int fd)
{
	(void)snprintf(path, VFS_PATH_MAX, PREFIX "%d", fd);
}

/* -- calls that name a file -- */

static int
call_open(const char *path, int flags, int mode)
{
	uint64_t fd;

	(void)mode;
	if ((flags & O_ACCMODE) == O_RDONLY && strncmp(path, PREFIX, strlen(PREFIX)) == 0 &&
	    str_u64(path + strlen(PREFIX), STDERR_FILENO + 1, INT32_MAX, &fd) == 0)
		return (int)fd;
	errno = ENOENT;
	return -1;
}

static int
call_access(const char *path, int mode)
{
	(void)path;
	(void)mode;
	errno = ENOENT;
	return -1;
}

static int
call_stat(const char *path, struct stat *st)
{
	(void)path;
	(void)st;
	errno = ENOENT;
	return -1;
}

static ssize_t
call_readlink(const char *path, char *dst, size_t size)
{
	(void)path;
	(void)dst;
	(void)size;
	errno = ENOENT;
	return -1;
}

static char *
call_getcwd(char *dst, size_t size)
{
	(void)dst;
	(void)size;
	errno = ENOENT;
	return NULL;
}

static int
call_path(const char *path)
{
	(void)path;
	errno = ENOENT;
	return -1;
}

static int
call_mkdir(const char *path, mode_t mode)
{
	(void)path;
	(void)mode;
	errno = EROFS;
	return -1;
}

static int
call_open_directory(const char *path, int *fd)
{
	(void)path;
	*fd = -1;
	return SQLITE_CANTOPEN;
}

/* -- calls that change a file -- */

static ssize_t
call_write(int fd, const void *data, size_t n)
{
	(void)fd;
	(void)data;
	(void)n;
	errno = EROFS;
	return -1;
}

static ssize_t
call_pwrite(int fd, const void *data, size_t n, off_t at)
{
	(void)at;
	return call_write(fd, data, n);
}

static int
call_ftruncate(int fd, off_t size)
{
	(void)fd;
	(void)size;
	errno = EROFS;
	return -1;
}

static int
call_fallocate(int fd, off_t at, off_t len)
{
	(void)fd;
	(void)at;
	(void)len;
	return EROFS;
}

static int
call_fchmod(int fd, mode_t mode)
{
	(void)fd;
	(void)mode;
	errno = EROFS;
	return -1;
}

static int
call_fchown(int fd, uid_t uid, gid_t gid)
{
	(void)fd;
	(void)uid;
	(void)gid;
	errno = EROFS;
	return -1;
}

/* Root would give new files away; there are none. */
static uid_t
call_geteuid(void)
{
	return (uid_t)-1;
}

static const struct {
	const char *name;
	sqlite3_syscall_ptr call;
} calls[] = {
    {"open", (sqlite3_syscall_ptr)call_open},
    {"access", (sqlite3_syscall_ptr)call_access},
    {"getcwd", (sqlite3_syscall_ptr)call_getcwd},
    {"stat", (sqlite3_syscall_ptr)call_stat},
    {"lstat", (sqlite3_syscall_ptr)call_stat},
    {"readlink", (sqlite3_syscall_ptr)call_readlink},
    {"unlink", (sqlite3_syscall_ptr)call_path},
    {"mkdir", (sqlite3_syscall_ptr)call_mkdir},
    {"rmdir", (sqlite3_syscall_ptr)call_path},
    {"openDirectory", (sqlite3_syscall_ptr)call_open_directory},
    {"write", (sqlite3_syscall_ptr)call_write},
    {"pwrite", (sqlite3_syscall_ptr)call_pwrite},
    {"pwrite64", (sqlite3_syscall_ptr)call_pwrite},
    {"ftruncate", (sqlite3_syscall_ptr)call_ftruncate},
    {"fallocate", (sqlite3_syscall_ptr)call_fallocate},
    {"fchmod", (sqlite3_syscall_ptr)call_fchmod},
    {"fchown", (sqlite3_syscall_ptr)call_fchown},
    {"geteuid", (sqlite3_syscall_ptr)call_geteuid},
};

int
vfs_install(void)
{
	sqlite3_vfs *vfs;
	size_t i;

	if (sqlite3_initialize() != SQLITE_OK || (vfs = sqlite3_vfs_find("unix")) == NULL ||
	    vfs->iVersion < 3) {
		errno = ENOSYS;
		return -1;
	}
	for (i = 0; i < NITEMS(calls); i++)
		if (vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) != SQLITE_OK) {
			errno = ENOSYS;
			return -1;
		}
	return 0;
}

enum database_file
database_file_kind(int fd)
{
	uint8_t head[DATABASE_FILE_HEAD];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	return database_file_of(head, n < 0 ? 0 : (size_t)n);
}
