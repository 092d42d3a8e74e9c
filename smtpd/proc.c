/* SPDX-License-Identifier: ISC */
/*
 * `smtpctl show sandbox`: what each process was told to be beside what the
 * kernel says it is.  Everything "actual" is read from /proc at the moment of
 * the question, but for Landlock, which the kernel does not show: the process
 * checked it when it entered, and a Landlock domain can't be left.
 */
#include "smtpd/smtpd.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#ifndef VERSION
#define VERSION "0.1"
#endif

struct facts {
	uid_t uid[4];
	gid_t gid[4];
	unsigned int no_new_privs, seccomp, filters;
	uint64_t caps, rss_bytes;
	size_t groups, descriptors;
	bool same_root, known;
};

/* -- /proc/PID -- */

static void
fact_ids(const char *v, unsigned int ids[4])
{
	(void)sscanf(v, "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]);
}

static void
fact_line(struct facts *f, const char *key, const char *v)
{
	if (strcmp(key, "Uid") == 0)
		fact_ids(v, f->uid);
	else if (strcmp(key, "Gid") == 0)
		fact_ids(v, f->gid);
	else if (strcmp(key, "Groups") == 0)
		f->groups = strspn(v, " \t\n") == strlen(v) ? 0 : 1;
	else if (strcmp(key, "NoNewPrivs") == 0)
		f->no_new_privs = (unsigned int)strtoul(v, NULL, 10);
	else if (strcmp(key, "Seccomp") == 0)
		f->seccomp = (unsigned int)strtoul(v, NULL, 10);
	else if (strcmp(key, "Seccomp_filters") == 0)
		f->filters = (unsigned int)strtoul(v, NULL, 10);
	else if (strcmp(key, "CapPrm") == 0 || strcmp(key, "CapEff") == 0 ||
		 strcmp(key, "CapInh") == 0 || strcmp(key, "CapAmb") == 0)
		f->caps |= strtoull(v, NULL, 16);
	else if (strcmp(key, "VmRSS") == 0)
		f->rss_bytes = strtoull(v, NULL, 10) * 1024;
}

static void
fact_status(struct facts *f, pid_t pid)
{
	char path[64], line[512];
	char *colon;
	FILE *fp;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((fp = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), fp) != NULL)
		if ((colon = strchr(line, ':')) != NULL) {
			*colon = '\0';
			fact_line(f, line, colon + 1);
			f->known = true;
		}
	(void)fclose(fp);
}

static size_t
fact_descriptors(pid_t pid)
{
	char path[64];
	size_t n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n > 2 ? n - 2 : 0;
}

/* Somebody's home; the real root it must not be.  Its file system is not asked: it may not answer. */
static bool
fact_root_of_agent(const char *path)
{
	char root[2];
	ssize_t n = readlink(path, root, sizeof(root));

	return n > 0 && !(n == 1 && root[0] == '/');
}

/* Its "/" and the directory it should be, compared as the kernel knows them. */
static bool
fact_root(const struct child *c)
{
	struct stat is, should;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)c->pid);
	if (c->row->root == ROOT_MAILBOX)
		return fact_root_of_agent(path);
	if (stat(path, &is) == -1 || stat(child_root(c), &should) == -1)
		return false;
	return is.st_ino == should.st_ino && is.st_dev == should.st_dev;
}

static void
facts_read(struct facts *f, const struct child *c)
{
	memset(f, 0, sizeof(*f));
	fact_status(f, c->pid);
	f->descriptors = fact_descriptors(c->pid);
	f->same_root = fact_root(c);
}

/* -- the comparison -- */

static bool
all_equal(const unsigned int ids[4], unsigned int id)
{
	return ids[0] == id && ids[1] == id && ids[2] == id && ids[3] == id;
}

static bool
weak_ids(const struct child *c, const struct facts *f)
{
	return !all_equal(f->uid, c->uid) || !all_equal(f->gid, c->gid) ||
	       (c->rights.privileged && f->groups != 0);
}

static bool
weak_root(const struct child *c, const struct facts *f)
{
	return c->rights.privileged && !f->same_root;
}

static bool
weak_caps(const struct child *c, const struct facts *f)
{
	(void)c;
	return f->caps != 0;
}

static bool
weak_nnp(const struct child *c, const struct facts *f)
{
	(void)c;
	return f->no_new_privs != 1;
}

static bool
weak_seccomp(const struct child *c, const struct facts *f)
{
	return f->seccomp != 2 || f->filters == 0 || !c->has_entered;
}

static bool
weak_landlock(const struct child *c, const struct facts *f)
{
	(void)f;
	return !c->entered.landlock_denies;
}

static bool
weak_descriptors(const struct child *c, const struct facts *f)
{
	return f->descriptors > c->rights.limits.descriptors;
}

static const struct {
	const char *name;
	bool (*is_weaker)(const struct child *c, const struct facts *f);
} checks[] = {
    {"account", weak_ids},
    {"root", weak_root},
    {"capabilities", weak_caps},
    {"no_new_privs", weak_nnp},
    {"seccomp", weak_seccomp},
    {"landlock", weak_landlock},
    {"descriptors", weak_descriptors},
};

static void
compare(const struct child *c, const struct facts *f, char *dst, size_t size)
{
	size_t i, len = 0;

	dst[0] = '\0';
	for (i = 0; i < NITEMS(checks) && len < size; i++)
		if (checks[i].is_weaker(c, f))
			len += (size_t)snprintf(
			    dst + len, size - len, "%s%s", len == 0 ? "" : ",", checks[i].name);
}

static const char *
declared_root(const struct child *c)
{
	if (!c->rights.privileged)
		return "/";
	return c->row->root == ROOT_MAILBOX ? "(mailbox)" : child_root(c);
}

/* " ports=25,465", of those who may connect at all. */
static void
describe_ports(const struct role_rights *r, char *dst, size_t size)
{
	size_t i, len = 0;

	dst[0] = '\0';
	for (i = 0; i < r->nconnect_ports && len < size; i++)
		len += (size_t)snprintf(dst + len, size - len, "%s%u", i == 0 ? " ports=" : ",",
		    (unsigned int)r->connect_ports[i]);
}

static void
describe_declared(const struct child *c, char *dst, size_t size)
{
	char ports[ROLE_PORTS_MAX * sizeof("65535") + sizeof(" ports=")];
	char rights[128];

	role_rights_text(c->rights.rights, rights, sizeof(rights));
	describe_ports(&c->rights, ports, sizeof(ports));
	(void)snprintf(dst, size,
	    "uid=%u gid=%u root=%s caps=0 nnp=1 seccomp=filter calls=%u landlock=yes fds<=%llu "
	    "rights=%s%s",
	    (unsigned int)c->uid, (unsigned int)c->gid, declared_root(c), c->entered.nsyscalls,
	    (unsigned long long)c->rights.limits.descriptors, rights, ports);
}

static void
describe_actual(const struct child *c, const struct facts *f, char *dst, size_t size)
{
	char path[64], root[PATH_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)c->pid);
	n = readlink(path, root, sizeof(root) - 1);
	root[n > 0 ? n : 0] = '\0';
	(void)snprintf(dst, size,
	    "uid=%u gid=%u root=%.200s caps=%llx nnp=%u seccomp=%s landlock=%s(abi%u) fds=%zu",
	    f->uid[1], f->gid[1], root[0] == '\0' ? "?" : root, (unsigned long long)f->caps,
	    f->no_new_privs, f->seccomp == 2 ? "filter" : "none",
	    c->entered.landlock_denies ? "yes" : "no", c->entered.landlock_abi, f->descriptors);
}

static void
answer_child(const struct child *c, struct channel *control, uint32_t req)
{
	char declared[IPC_TEXT_MAX + 1], actual[512], weaker[256];
	struct msg_procs_row m = {.req = req,
	    .role = role_word(c->row->role),
	    .instance = c->instance,
	    .pid = (uint32_t)c->pid,
	    .uptime_s = (time_mono_ms() - c->started_ms) / 1000,
	    .restarts = c->restarts,
	    .declared = declared,
	    .actual = actual,
	    .weaker = weaker};
	struct facts f;

	facts_read(&f, c);
	m.rss_bytes = f.rss_bytes;
	describe_declared(c, declared, sizeof(declared));
	describe_actual(c, &f, actual, sizeof(actual));
	compare(c, &f, weaker, sizeof(weaker));
	if (!f.known)
		str_cut(weaker, sizeof(weaker), "not running");
	(void)channel_send(control, MSG_procs_row, &m);
}

/* The parent's own line: it declares what it keeps, see privileges.c. */
static void
answer_self(const struct smtpd *d, struct channel *control, uint32_t req)
{
	char declared[128], actual[256];
	struct msg_procs_row m = {.req = req,
	    .role = role_word(ROLE_PARENT),
	    .pid = (uint32_t)getpid(),
	    .uptime_s = (time_mono_ms() - d->started_ms) / 1000,
	    .declared = declared,
	    .actual = actual,
	    .weaker = ""};
	struct facts f = {0};

	fact_status(&f, getpid());
	m.rss_bytes = f.rss_bytes;
	(void)snprintf(declared, sizeof(declared), "uid=%u nnp=1 seccomp=none landlock=no",
	    (unsigned int)geteuid());
	(void)snprintf(actual, sizeof(actual),
	    "uid=%u caps=%llx nnp=%u seccomp=none landlock=no fds=%zu", f.uid[1],
	    (unsigned long long)f.caps, f.no_new_privs, fact_descriptors(getpid()));
	if (f.no_new_privs != 1 || f.uid[1] != geteuid())
		m.weaker = "account or no_new_privs";
	(void)channel_send(control, MSG_procs_row, &m);
}

void
proc_answer(struct smtpd *d, struct channel *control, uint32_t req)
{
	struct msg_procs_end end = {.req = req,
	    .version = VERSION,
	    .privileged = d->privileged,
	    .smtp_paused = d->smtp_paused,
	    .delivery_paused = d->delivery_paused,
	    .uptime_s = (time_mono_ms() - d->started_ms) / 1000,
	    .generation = d->generation};
	struct child *c;

	answer_self(d, control, req);
	TAILQ_FOREACH (c, &d->children, entry)
		answer_child(c, control, req);
	(void)channel_send(control, MSG_procs_end, &end);
}
