/* SPDX-License-Identifier: ISC */
/*
 * From the table in calls.c to a filter in the kernel.  The invariant: what no
 * row allows never runs, whoever listens or fails to.  Rows whose call this
 * machine does not have are passed over; any other failure is the caller's
 * reason not to start.
 */
#include "lib/role/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/role/calls.h"
#include "lib/role/role.h"

#ifdef ROLE_SANITIZED
#include <sanitizer/lsan_interface.h>

static bool filtered;

/* The search for leaks at exit stops the process from a second one: not behind a filter. */
int
__lsan_is_turned_off(void)
{
	return filtered;
}
#endif

static bool
row_counts(const struct call_row *row, unsigned int rights)
{
	return (row->rights & rights) != 0 && (row->unless & rights) == 0;
}

static size_t
row_tests(const struct call_row *row, struct scmp_arg_cmp *cmp)
{
	size_t n;

	for (n = 0; n < CALL_TESTS_MAX && row->tests[n].kind != ARG_END; n++) {
		const struct arg_test *t = &row->tests[n];

		cmp[n].arg = t->n;
		cmp[n].op = SCMP_CMP_MASKED_EQ;
		cmp[n].datum_a = t->mask;
		cmp[n].datum_b = t->kind == ARG_SELF ? (scmp_datum_t)getpid() : t->want;
	}
	return n;
}

static int
row_add(scmp_filter_ctx ctx, const struct call_row *row)
{
	struct scmp_arg_cmp cmp[CALL_TESTS_MAX];
	size_t ncmp = row_tests(row, cmp);
	uint32_t action = row->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint16_t)row->error);
	int nr = seccomp_syscall_resolve_name(row->name);

	if (nr < 0) /* not a call of this architecture */
		return 0;
	return seccomp_rule_add_array(ctx, action, nr, (unsigned int)ncmp, cmp);
}

/* libseccomp's functions return -errno. */
static scmp_filter_ctx
filter_build(unsigned int rights, uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	size_t i;
	int rc;

	if (ctx == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) != 0 ||
	    (rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) != 0)
		goto fail;
	for (i = 0; i < call_rows_count; i++)
		if (row_counts(&call_rows[i], rights) && (rc = row_add(ctx, &call_rows[i])) != 0)
			goto fail;
	return ctx;
fail:
	seccomp_release(ctx);
	errno = -rc;
	return NULL;
}

static int
filter_load(unsigned int rights, uint32_t otherwise, int *notify_fd)
{
	scmp_filter_ctx ctx;
	int rc;

	if ((ctx = filter_build(rights, otherwise)) == NULL)
		return -1;
	rc = seccomp_load(ctx);
	if (rc == 0 && otherwise == SCMP_ACT_NOTIFY)
		*notify_fd = seccomp_notify_fd(ctx);
	seccomp_release(ctx);
	errno = -rc;
	return rc == 0 ? 0 : -1;
}

int
seccomp_enter(unsigned int rights, int *notify_fd)
{
	rights = call_rights(rights);
	*notify_fd = -1;
#ifdef ROLE_SANITIZED
	filtered = true;
#endif
	if (seccomp_api_get() >= 5 && filter_load(rights, SCMP_ACT_NOTIFY, notify_fd) == 0)
		return 0;
	/* No listener to be had: an old kernel, or a container that listens itself. */
	return filter_load(rights, SCMP_ACT_KILL_PROCESS, notify_fd);
}

int
seccomp_export(unsigned int rights, int fd)
{
	scmp_filter_ctx ctx;
	int rc;

	if ((ctx = filter_build(call_rights(rights), SCMP_ACT_KILL_PROCESS)) == NULL)
		return -1;
	rc = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	errno = -rc;
	return rc == 0 ? 0 : -1;
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t
role_syscalls(unsigned int rights, const char **names, size_t max)
{
	size_t i, j, n = 0;

	for (i = 0; i < call_rows_count && n < max; i++) {
		const struct call_row *row = &call_rows[i];

		if (!row_counts(row, rights) || row->error != 0 ||
		    seccomp_syscall_resolve_name(row->name) < 0)
			continue;
		for (j = 0; j < n && strcmp(names[j], row->name) != 0; j++)
			;
		if (j == n)
			names[n++] = row->name;
	}
	qsort(names, n, sizeof(*names), name_compare);
	return n;
}

const char *
role_syscall_name(int nr)
{
	static char name[40]; /* the resolver's answer is the caller's to free: keep a copy */
	char *found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

	if (found != NULL)
		(void)snprintf(name, sizeof(name), "%s", found);
	else
		(void)snprintf(name, sizeof(name), "#%d", nr);
	free(found);
	return name;
}
