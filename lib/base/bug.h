/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_BUG_H
#define LIB_BASE_BUG_H

/*
 * Our own defects.  A bug_on() that fires means that this source is wrong,
 * never that an input was: bytes from outside, a peer process's included,
 * must not be able to reach one.
 */
void bug(const char *file, int line, const char *what) __attribute__((noreturn));

#define bug_on(cond) ((cond) ? bug(__FILE__, __LINE__, #cond) : (void)0)

/* The result of a call that can fail must be looked at. */
/* Of a large array that is filled before it is read: it need not be zeroed at each call. */
#define UNINITIALIZED	       __attribute__((uninitialized))
#define WARN_UNUSED	       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NITEMS(a)	       (sizeof(a) / sizeof((a)[0]))

#endif
