/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_CALLS_H
#define LIB_ROLE_CALLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The table of system calls: which right allows which call, with which
 * arguments, and why.  Whatever no row speaks of ends the process.
 *
 * A row counts for a mask of rights that has any bit of `rights` and none of
 * `unless`.  A row without tests speaks of every argument.  Two rows that can
 * match the same call with the same arguments must not differ in their answer.
 */
#define RIGHT_SANITIZER 0x8000U /* added by sanitizer builds to every role, never asked for */

#if defined(__SANITIZE_ADDRESS__)
#define ROLE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROLE_SANITIZED 1
#endif
#endif

/*
 * One argument, compared as (value & mask) == want.  The masks cover at most
 * the low 32 bits: the kernel takes all these arguments as int, and what a
 * caller leaves in the upper half must not make a difference.
 */
enum arg_test_kind { ARG_END, ARG_MASKED, ARG_SELF };

struct arg_test {
	enum arg_test_kind kind; /* ARG_SELF: the argument is our own process id */
	unsigned int n;		 /* 0: the first */
	uint32_t mask;
	uint32_t want;
};

#define CALL_TESTS_MAX 4

struct call_row {
	const char *name;
	unsigned int rights;
	unsigned int unless;
	int error; /* 0: allowed; else the call is not run and fails with this */
	const char *why;
	struct arg_test tests[CALL_TESTS_MAX];
};

extern const struct call_row call_rows[];
extern const size_t call_rows_count;

/* rights, with what the build adds to every role */
unsigned int call_rights(unsigned int rights);

#endif
