/* SPDX-License-Identifier: ISC */
/*
 * The walls: every role that the design names tries every act of probe.c, with
 * and without root, and must die or be refused; the filters are computed and
 * compared with the table that is under review (tests/lint/syscalls.txt; `test_role --syscalls`
 * prints it anew).  What a role must still be able to do is in test_role_work.c.
 */
#include "tests/unit/role_child.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "lib/base/log.h"
#include "lib/role/calls.h"
#include "lib/role/landlock.h"
#include "lib/role/seccomp.h"

#define TABLE	  "tests/lint/syscalls.txt"
#define NR_MAX	  460
#define CALLS_MAX 128

struct act {
	size_t n;
	pid_t parent;
};

static int
job_act(void *arg)
{
	const struct act *a = arg;

	return role_probe_run(a->n, a->parent);
}

static int
job_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void
quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* Probes. */

static size_t
probe_role(const struct test_role *t, bool privileged)
{
	static const char *const outcomes[] = {"died", "refused", "survived"};
	struct act a = {.parent = getpid()};
	size_t bad = 0, seen[3] = {0};

	for (a.n = 0; a.n < role_probe_count(); a.n++) {
		struct role_rights r;
		struct child_end end;

		child_rights(&r, t, privileged);
		child_run(&r, job_act, &a, &end);
		seen[end.outcome]++;
		if (end.entered && role_probe_passes(a.n, t->rights, end.outcome, end.error))
			continue;
		bad++;
		print_error("%s%s: %s: %s%s %s\n", t->name, privileged ? " as root" : "",
		    role_probe_name(a.n), end.entered ? "" : "not entered, ", outcomes[end.outcome],
		    end.error != 0 ? strerror(end.error) : "");
	}
	print_message("%s%s: %zu acts died, %zu refused, %zu allowed by its rights\n", t->name,
	    privileged ? " as root" : "", seen[PROBE_DIED], seen[PROBE_REFUSED],
	    seen[PROBE_SURVIVED]);
	return bad;
}

static void
test_probes(void **state)
{
	size_t i, bad = 0;

	(void)state;
	for (i = 0; i < NITEMS(test_roles); i++)
		bad += probe_role(&test_roles[i], false);
	assert_int_equal(bad, 0);
}

static void
test_probes_privileged(void **state)
{
	size_t i, bad = 0;

	(void)state;
	if (getuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	for (i = 0; i < NITEMS(test_roles); i++)
		bad += probe_role(&test_roles[i], true);
	assert_int_equal(bad, 0);
}

/* The acts are real: without walls most of them succeed for an ordinary user. */
static void
test_probes_can_survive(void **state)
{
	pid_t self = getpid();
	size_t n, survived = 0;

	(void)state;
	assert_true(role_probe_count() >= 45);
	for (n = 0; n < role_probe_count(); n++) {
		int status = 0;
		pid_t pid = fork();

		assert_return_code(pid, errno);
		if (pid == 0) {
			leave_root();
			if (chdir("/tmp") == -1)
				_exit(2);
			_exit(role_probe_run(n, self) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status == 0)
			survived++;
	}
	print_message(
	    "%zu acts, %zu of them succeed without walls\n", role_probe_count(), survived);
	assert_true(survived >= 60);
}

/* Entering. */

static void
test_entered(void **state)
{
	struct role_rights r;
	struct child_end end;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * NITEMS(test_roles); i++) {
		bool privileged = i >= NITEMS(test_roles);

		if (privileged && getuid() != 0)
			break;
		child_rights(&r, &test_roles[i % NITEMS(test_roles)], privileged);
		child_run(&r, job_nothing, NULL, &end);
		assert_true(end.entered);
		assert_int_equal(end.outcome, PROBE_SURVIVED);
		assert_true(end.role.privileges_gone);
		assert_int_equal(end.role.landlock_abi, landlock_abi());
		assert_int_equal(end.role.landlock_denies, landlock_abi() > 0);
	}
}

/* What must not start does not start. */
static void
test_refuses_to_enter(void **state)
{
	static const struct {
		const char *what;
		unsigned int rights;
		bool privileged;
		uid_t uid;
		const char *root;
		int landlock_floor;
		int error;
	} cases[] = {
	    {"no base right", RIGHT_ACCEPT, false, 1, NULL, 0, EINVAL},
	    {"an unknown right", RIGHT_BASE | 0x4000U, false, 1, NULL, 0, EINVAL},
	    {"sanitizer calls by request", RIGHT_BASE | RIGHT_SANITIZER, false, 1, NULL, 0, EINVAL},
	    {"account root", RIGHT_BASE, true, 0, NULL, 0, EINVAL},
	    {"Landlock too old", RIGHT_BASE, false, 1, NULL, 1000, ENOSYS},
	    {"no such directory", RIGHT_BASE, false, 1, "/nonexistent", 0, ENOENT},
	    {"a root others write to", RIGHT_BASE, true, TEST_UID, "/tmp", 0, EPERM},
	};
	struct role_rights r;
	struct child_end end;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (cases[i].error == EPERM && getuid() != 0)
			continue;
		child_rights(&r, &test_roles[0], cases[i].privileged);
		r.rights = cases[i].rights;
		r.uid = cases[i].uid;
		r.root = cases[i].root;
		r.landlock_floor = cases[i].landlock_floor;
		child_run(&r, job_nothing, NULL, &end);
		if (end.entered || end.error != cases[i].error)
			fail_msg(
			    "%s: entered %d, %s", cases[i].what, end.entered, strerror(end.error));
	}
}

/* Watching. */

static size_t
probe_find(const char *name)
{
	size_t n;

	for (n = 0; n < role_probe_count(); n++)
		if (strcmp(role_probe_name(n), name) == 0)
			return n;
	fail_msg("no act '%s'", name);
	return 0;
}

static void
test_violation_is_named(void **state)
{
	static const struct {
		const char *act;
		const char *call;
	} cases[] = {{"execve", "execve"}, {"socket TCP", "socket"}, {"setuid", "setuid"},
	    {"mmap executable", "mmap"}, {"unknown system call", "#4095"}};
	struct act a = {.parent = getpid()};
	struct role_rights r;
	struct child_end end;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		a.n = probe_find(cases[i].act);
		child_rights(&r, &test_roles[0], false);
		child_run(&r, job_act, &a, &end);
		if (end.role.notify_fd == -1) {
			print_message("skipped: the kernel gives no listener here\n");
			skip();
		}
		assert_int_equal(end.outcome, PROBE_DIED);
		assert_int_equal(end.signal, SIGKILL);
		assert_string_equal(end.call, cases[i].call);
	}
}

/* A parent that loses its listener does not open the door. */
static void
test_closed_listener_refuses(void **state)
{
	struct act a = {.n = probe_find("socket TCP"), .parent = getpid()};
	struct role_rights r;
	struct child_report report;
	struct child_end end = {0};
	struct child c;

	(void)state;
	child_rights(&r, &test_roles[0], false);
	child_start(&c, &r, job_act, &a);
	assert_true(child_receive(&c, &report));
	if (c.notify_fd != -1) {
		(void)close(c.notify_fd);
		c.notify_fd = -1;
		assert_true(child_receive(&c, &report));
		assert_int_equal(report.rc, -1);
		assert_int_equal(report.error, ENOSYS);
	}
	child_reap(&c, &end);
}

static void
test_watch_errors(void **state)
{
	struct act a = {.n = probe_find("socket TCP"), .parent = getpid()};
	struct role_violation v;
	struct role_rights r;
	struct child_report report;
	struct child_end end = {0};
	struct child c;

	(void)state;
	assert_int_equal(role_watch_receive(-1, &v), -1);
	child_rights(&r, &test_roles[0], false);
	child_start(&c, &r, job_act, &a);
	assert_true(child_receive(&c, &report));
	if (c.notify_fd != -1) {
		struct pollfd pfd = {.fd = c.notify_fd, .events = POLLIN};

		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		assert_return_code(kill(c.pid, SIGKILL), errno);
		pfd.events = 0; /* POLLHUP only */
		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		assert_int_equal(role_watch_receive(c.notify_fd, &v), -1);
		assert_int_equal(errno, EPIPE);
	}
	child_reap(&c, &end);
}

static int
enter_with_listener_taken(const struct role_rights *r, struct role_entered *out)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		&prog) == -1)
		_exit(3);
	return role_enter(r, out);
}

/* In a container that has the listener already, the kernel kills. */
static void
test_without_listener_the_kernel_kills(void **state)
{
	struct act a = {.n = probe_find("socket TCP"), .parent = getpid()};
	struct role_entered out;
	struct role_rights r;
	int status;
	pid_t pid;

	(void)state;
	child_rights(&r, &test_roles[0], false);
	pid = fork();
	assert_return_code(pid, errno);
	if (pid == 0) {
		leave_root();
		if (enter_with_listener_taken(&r, &out) == -1 || out.notify_fd != -1)
			_exit(4);
		_exit(job_act(&a));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* The table. */

static void
test_rows_are_sound(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < call_rows_count; i++) {
		const struct call_row *row = &call_rows[i];

		if (seccomp_syscall_resolve_name(row->name) == __NR_SCMP_ERROR)
			fail_msg("row %zu: no such call: %s", i, row->name);
		assert_true(row->why != NULL && strlen(row->why) > 4);
		assert_true(row->rights != 0 && (row->rights & row->unless) == 0);
		for (j = 0; j < CALL_TESTS_MAX && row->tests[j].kind != ARG_END; j++)
			assert_true(
			    row->tests[j].n < 6 && (row->tests[j].want & ~row->tests[j].mask) == 0);
	}
}

static void
test_few_calls(void **state)
{
	const char *names[CALLS_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(test_roles); i++) {
		const struct test_role *t = &test_roles[i];
		size_t n = role_syscalls(t->rights, names, NITEMS(names)), j;

		print_message("%s: %zu system calls allowed, at most %zu\n", t->name, n, t->most);
		assert_true(t->most == 0 || n <= t->most);
		for (j = 1; j < n; j++)
			assert_true(strcmp(names[j - 1], names[j]) < 0);
	}
}

/* Whoever keeps the keys can talk to its peers, and end. */
static void
test_core_is_twelve_calls(void **state)
{
	static const char *const calls[] = {"brk", "close", "epoll_ctl", "epoll_wait", "exit_group",
	    "futex", "getpid", "getrandom", "mmap", "munmap", "recvmsg", "sendmsg"};
	const char *core[CALLS_MAX], *base[CALLS_MAX];
	size_t n = role_syscalls(RIGHT_CORE, core, NITEMS(core)), i, j;
	size_t nbase = role_syscalls(RIGHT_BASE, base, NITEMS(base));

	(void)state;
	assert_int_equal(n, NITEMS(calls));
	for (i = 0; i < n; i++) {
		if (strcmp(calls[i], "epoll_wait") != 0) /* another machine has another of them */
			assert_string_equal(core[i], calls[i]);
		for (j = 0; j < nbase && strcmp(base[j], core[i]) != 0; j++)
			;
		assert_true(j < nbase);
	}
}

/* The filter, computed. */

struct filter {
	struct sock_filter code[BPF_MAXINSNS];
	size_t len;
};

enum verdict_bit { MAY_RUN = 1, MAY_FAIL = 2, MAY_DIE = 4 };

struct verdict {
	unsigned int may; /* enum verdict_bit */
	int error;	  /* MAY_FAIL */
};

struct walk {
	size_t pc;
	bool known; /* is a what the program computed from nr and arch alone */
	uint32_t a;
};

static void
filter_load(struct filter *f, unsigned int rights)
{
	FILE *fp = tmpfile();

	assert_non_null(fp);
	assert_return_code(seccomp_export(rights, fileno(fp)), errno);
	rewind(fp);
	f->len = fread(f->code, sizeof(f->code[0]), NITEMS(f->code), fp);
	assert_true(f->len > 0);
	(void)fclose(fp);
}

static void
verdict_add(struct verdict *v, uint32_t ret)
{
	switch (ret & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		v->may |= MAY_RUN;
		break;
	case SECCOMP_RET_ERRNO:
		v->may |= MAY_FAIL;
		v->error = (int)(ret & SECCOMP_RET_DATA);
		break;
	case SECCOMP_RET_KILL_PROCESS:
		v->may |= MAY_DIE;
		break;
	default:
		fail_msg("unexpected action %08x", ret);
	}
}

static bool
jump_taken(const struct sock_filter *in, uint32_t a)
{
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return a == in->k;
	case BPF_JGT:
		return a > in->k;
	case BPF_JGE:
		return a >= in->k;
	case BPF_JSET:
		return (a & in->k) != 0;
	default:
		return true; /* BPF_JA */
	}
}

/* One straight run; where arguments decide, both ways are taken (the other one is pushed). */
static void
filter_step(const struct filter *f, const uint32_t data[2], struct walk *todo, size_t *ntodo,
    struct verdict *v)
{
	struct walk w = todo[--*ntodo];

	for (;;) {
		const struct sock_filter *in = &f->code[w.pc++];

		assert_true(w.pc <= f->len);
		if (BPF_CLASS(in->code) == BPF_RET) {
			verdict_add(v, in->k);
			return;
		}
		if (BPF_CLASS(in->code) == BPF_LD) {
			w.known = in->k < 8;
			w.a = w.known ? data[in->k / 4] : 0;
		} else if (in->code == (BPF_JMP | BPF_JA)) {
			w.pc += in->k;
		} else if (BPF_CLASS(in->code) == BPF_JMP && w.known) {
			w.pc += jump_taken(in, w.a) ? in->jt : in->jf;
		} else if (BPF_CLASS(in->code) == BPF_JMP) {
			assert_true(*ntodo < 64);
			todo[*ntodo] = w;
			todo[(*ntodo)++].pc += in->jf;
			w.pc += in->jt;
		} else {
			assert_int_equal(in->code, BPF_ALU | BPF_AND | BPF_K);
			w.a &= in->k;
		}
	}
}

static struct verdict
filter_judge(const struct filter *f, uint32_t nr, uint32_t arch)
{
	const uint32_t data[2] = {nr, arch};
	struct walk todo[64] = {{0, false, 0}};
	struct verdict v = {0, 0};
	size_t ntodo = 1;

	while (ntodo > 0)
		filter_step(f, data, todo, &ntodo, &v);
	return v;
}

/* name: runs; name?: runs with some arguments; name=ERROR: fails; name!ERROR: runs or fails. */
static void
table_write(FILE *out, const struct test_role *t)
{
	struct filter f;
	uint32_t nr;

	filter_load(&f, t->rights);
	fprintf(out, "%s:", t->name);
	for (nr = 0; nr <= NR_MAX; nr++) {
		struct verdict v = filter_judge(&f, nr, seccomp_arch_native());

		if (v.may == MAY_DIE)
			continue;
		fprintf(out, " %s", role_syscall_name((int)nr));
		if ((v.may & MAY_FAIL) != 0)
			fprintf(out, "%s%s", (v.may & MAY_RUN) != 0 ? "!" : "=",
			    strerrorname_np(v.error));
		else if ((v.may & MAY_DIE) != 0)
			fputc('?', out);
	}
	fputc('\n', out);
}

static bool
table_applies(void)
{
#if defined(__x86_64__) && defined(__GLIBC__) && !__GLIBC_PREREQ(2, 39)
	return call_rights(0) == 0;
#else
	return false;
#endif
}

static void
test_table_is_reviewed(void **state)
{
	char want[4096], got[4096];
	FILE *fp, *made;
	size_t i;

	(void)state;
	if (!table_applies()) {
		print_message("skipped: the table is for x86-64 with glibc before 2.39\n");
		skip();
	}
	fp = fopen(TABLE, "r");
	made = tmpfile();
	assert_non_null(fp);
	assert_non_null(made);
	for (i = 0; i < NITEMS(test_roles); i++)
		table_write(made, &test_roles[i]);
	rewind(made);
	while (fgets(got, sizeof(got), made) != NULL) {
		assert_non_null(fgets(want, sizeof(want), fp));
		assert_string_equal(got, want);
	}
	assert_null(fgets(want, sizeof(want), fp));
	(void)fclose(fp);
	(void)fclose(made);
}

static void
test_other_architectures_die(void **state)
{
	static const uint32_t others[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_MIPS};
	struct filter f;
	size_t i, j;
	uint32_t nr;

	(void)state;
	for (i = 0; i < NITEMS(test_roles); i++) {
		filter_load(&f, test_roles[i].rights);
		for (nr = 0; nr <= NR_MAX; nr++)
			for (j = 0; j < NITEMS(others); j++)
				assert_int_equal(filter_judge(&f, nr, others[j]).may, MAY_DIE);
#ifdef __x86_64__
		for (nr = 0x40000000; nr <= 0x40000000 + NR_MAX; nr++)
			assert_int_equal(filter_judge(&f, nr, AUDIT_ARCH_X86_64).may, MAY_DIE);
#endif
	}
}

static void
test_names(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(role_syscall_name(SYS_socket), "socket");
	assert_string_equal(role_syscall_name(100000), "#100000");
	role_rights_text(RIGHT_BASE | RIGHT_ACCEPT | RIGHT_TLS, text, sizeof(text));
	assert_string_equal(text, "base,accept,tls");
	role_rights_text(RIGHT_CORE | RIGHT_READ_DB, text, sizeof(text));
	assert_string_equal(text, "core,read-db");
	role_rights_text(0, text, sizeof(text));
	assert_string_equal(text, "");
	role_rights_text(RIGHT_ALL, text, 9);
	assert_true(strlen(text) < 9);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_rows_are_sound),
	    cmocka_unit_test(test_few_calls),
	    cmocka_unit_test(test_core_is_twelve_calls),
	    cmocka_unit_test(test_table_is_reviewed),
	    cmocka_unit_test(test_other_architectures_die),
	    cmocka_unit_test(test_entered),
	    cmocka_unit_test(test_refuses_to_enter),
	    cmocka_unit_test(test_violation_is_named),
	    cmocka_unit_test(test_closed_listener_refuses),
	    cmocka_unit_test(test_watch_errors),
	    cmocka_unit_test(test_without_listener_the_kernel_kills),
	    cmocka_unit_test(test_probes_can_survive),
	    cmocka_unit_test(test_probes),
	    cmocka_unit_test(test_probes_privileged),
	};
	size_t i;

	log_set_sink(quiet, NULL);
	if (argc == 2 && strcmp(argv[1], "--syscalls") == 0) {
		for (i = 0; i < NITEMS(test_roles); i++)
			table_write(stdout, &test_roles[i]);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
