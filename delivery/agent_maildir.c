/* SPDX-License-Identifier: ISC */
/*
 * Writing into a Maildir, as its owner.
 *
 * Invariants: a name in new always is a whole, durable message; the only
 * files ever removed are our own in tmp; after a failed fsync a file is given
 * up, never synced again.  Fatal: nothing, the sender tries again later.
 */
#include "delivery/agent_maildir.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

#define WRITE_SIZE    (64U << 10)
#define BUFFER_MAX    (WRITE_SIZE * 2)
#define COMPONENT_MAX 255
#define FLAGS_DIR     (O_DIRECTORY | O_CLOEXEC)

static int
open_below(int dir_fd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {.flags = (unsigned int)flags,
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

/* -- the directories -- */

/* An O_PATH descriptor can't be synced. */
static int
sync_dir(int dir_fd)
{
	int fd, rc, error;

	if ((fd = open_below(dir_fd, ".", O_RDONLY | FLAGS_DIR, 0)) == -1)
		return -1;
	rc = fsync(fd);
	error = errno;
	(void)close(fd);
	errno = error;
	return rc;
}

/*
 * Where others can make directories too, one of theirs may wait under our name: what is put
 * there is theirs to remove.  fd, or -1 and it is closed.
 */
static int
check_owner(int dir_fd, int fd)
{
	struct stat above, st;
	int error = EPERM;

	if (fstat(dir_fd, &above) == -1 || fstat(fd, &st) == -1)
		error = errno;
	else if ((above.st_mode & 022) == 0 || st.st_uid == geteuid() || st.st_uid == 0 ||
		 st.st_uid == above.st_uid)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

/* Opens a directory in dir_fd, made first and durably when it is not there. */
static int
enter_dir(int dir_fd, const char *name, int flags)
{
	int fd = open_below(dir_fd, name, flags | FLAGS_DIR, 0);

	if (fd == -1 && errno == ENOENT) {
		if (mkdirat(dir_fd, name, 0700) == -1 && errno != EEXIST)
			return -1;
		if (sync_dir(dir_fd) == -1)
			return -1;
		fd = open_below(dir_fd, name, flags | FLAGS_DIR, 0);
	}
	return fd == -1 ? -1 : check_owner(dir_fd, fd);
}

/* Component by component: a path given whole would not tell which one is missing. */
static int
enter_path(int base_fd, const char *path)
{
	char name[COMPONENT_MAX + 1];
	int fd = base_fd, next;
	size_t n;

	for (;; path += n + 1) {
		n = strcspn(path, "/");
		if (n == 0 || n > COMPONENT_MAX) {
			errno = n == 0 ? EINVAL : ENAMETOOLONG;
			next = -1;
		} else {
			memcpy(name, path, n);
			name[n] = '\0';
			next = enter_dir(fd, name, O_PATH);
		}
		if (fd != base_fd)
			(void)close(fd);
		if (next == -1 || path[n] == '\0')
			return next;
		fd = next;
	}
}

/* A '/' or ':' in a host name would break the name's meaning: the Maildir convention's escapes. */
static void
host_name(char *dst, size_t size)
{
	char host[MAILDIR_HOST_MAX + 1] = "";
	size_t i;

	if (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0')
		(void)snprintf(host, sizeof(host), "localhost");
	dst[0] = '\0';
	for (i = 0; host[i] != '\0'; i++) {
		char one[2] = {host[i], '\0'};
		const char *add = host[i] == '/' ? "\\057" : host[i] == ':' ? "\\072" : one;

		if (str_append(dst, size, add) == -1)
			return;
	}
}

int
maildir_open(struct maildir *m, int base_fd, const char *path)
{
	int cur_fd = -1, error;

	*m = (struct maildir){.fd = -1, .tmp_fd = -1, .new_fd = -1, .pid = (uint32_t)getpid()};
	host_name(m->host, sizeof(m->host));
	if ((m->fd = enter_path(base_fd, path)) == -1)
		goto fail;
	if ((m->tmp_fd = enter_dir(m->fd, "tmp", O_PATH)) == -1)
		goto fail;
	if ((cur_fd = enter_dir(m->fd, "cur", O_PATH)) == -1)
		goto fail;
	(void)close(cur_fd);
	if ((m->new_fd = enter_dir(m->fd, "new", O_RDONLY)) == -1)
		goto fail;
	return 0;
fail:
	error = errno;
	maildir_close(m);
	errno = error;
	return -1;
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

void
maildir_close(struct maildir *m)
{
	close_fd(&m->fd);
	close_fd(&m->tmp_fd);
	close_fd(&m->new_fd);
}

int
maildir_sync(struct maildir *m)
{
	return fsync(m->new_fd);
}

/* -- line endings -- */

size_t
unix_lines_feed(struct unix_lines *u, const uint8_t *in, size_t n, uint8_t *out)
{
	const uint8_t *end = in + n, *cr;
	uint8_t *p = out;
	size_t run;

	if (u->off) {
		memcpy(out, in, n);
		return n;
	}
	while (in < end) {
		if (u->cr) {
			u->cr = false;
			if (*in != '\n')
				*p++ = '\r';
		}
		cr = memchr(in, '\r', (size_t)(end - in));
		run = (size_t)((cr == NULL ? end : cr) - in);
		memcpy(p, in, run);
		p += run;
		in += run;
		if (cr != NULL) {
			u->cr = true;
			in++;
		}
	}
	return (size_t)(p - out);
}

size_t
unix_lines_end(struct unix_lines *u, uint8_t *out)
{
	if (!u->cr)
		return 0;
	u->cr = false;
	*out = '\r';
	return 1;
}

/* -- a message -- */

static int
flush_out(struct maildir_file *f)
{
	ssize_t n;

	while (f->out.len > 0) {
		n = write(f->fd, buf_head(&f->out), f->out.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		f->size_bytes += (uint64_t)n;
		buf_consume(&f->out, (size_t)n);
	}
	return 0;
}

int
maildir_file_begin(struct maildir *m, struct maildir_file *f, int64_t now_us)
{
	*f = (struct maildir_file){.fd = -1};
	buf_init(&f->out, BUFFER_MAX);
	if (str_format(f->name, sizeof(f->name),
		"%" PRId64 ".M%" PRId64 "P%" PRIu32 "Q%" PRIu32 ".%s", now_us / 1000000,
		now_us % 1000000, m->pid, ++m->count, m->host) == -1)
		return -1;
	f->fd = openat(
	    m->tmp_fd, f->name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
	if (f->fd != -1)
		return 0;
	f->name[0] = '\0'; /* whatever is there is not ours to remove */
	return -1;
}

int
maildir_file_append(struct maildir_file *f, const void *data, size_t n)
{
	const uint8_t *in = data;
	size_t part;
	uint8_t *p;

	for (; n > 0; in += part, n -= part) {
		part = n < WRITE_SIZE / 2 ? n : WRITE_SIZE / 2;
		if ((p = buf_reserve(&f->out, UNIX_LINES_ROOM(part))) == NULL)
			return -1;
		buf_commit(&f->out, unix_lines_feed(&f->lines, in, part, p));
		if (f->out.len >= WRITE_SIZE && flush_out(f) == -1)
			return -1;
	}
	return 0;
}

static int
write_rest(struct maildir_file *f)
{
	uint8_t *p;

	if ((p = buf_reserve(&f->out, 1)) == NULL)
		return -1;
	buf_commit(&f->out, unix_lines_end(&f->lines, p));
	return flush_out(f);
}

/* close() tells of a full disk too on some file systems. */
static int
make_durable(struct maildir_file *f)
{
	int fd = f->fd, rc = fsync(fd), error = errno;

	f->fd = -1;
	if (close(fd) == -1 && rc == 0)
		return -1;
	errno = error;
	return rc;
}

/* Never over another file: file systems that can't promise it get a link instead. */
static int
move_to_new(struct maildir *m, const char *from, const char *to)
{
	if (renameat2(m->tmp_fd, from, m->new_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(m->tmp_fd, from, m->new_fd, to, 0) == -1)
		return -1;
	(void)unlinkat(m->tmp_fd, from, 0); /* it is delivered: a second name in tmp does no harm */
	return 0;
}

int
maildir_file_finish(struct maildir *m, struct maildir_file *f)
{
	char to[sizeof(f->name) + 32];
	int error;

	if (write_rest(f) == -1 || make_durable(f) == -1)
		goto fail;
	if (str_format(to, sizeof(to), "%s,S=%" PRIu64, f->name, f->size_bytes) == -1 ||
	    move_to_new(m, f->name, to) == -1)
		goto fail;
	f->name[0] = '\0';
	buf_free(&f->out);
	return 0;
fail:
	error = errno;
	maildir_file_abandon(m, f);
	errno = error;
	return -1;
}

void
maildir_file_abandon(struct maildir *m, struct maildir_file *f)
{
	close_fd(&f->fd);
	if (f->name[0] != '\0')
		(void)unlinkat(m->tmp_fd, f->name, 0);
	f->name[0] = '\0';
	buf_free(&f->out);
}
