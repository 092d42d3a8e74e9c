/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * One line, one event, key=value.  Nothing from outside reaches a log
 * unescaped: values go through logline_str(), which quotes, and every line
 * passes a last filter that turns control bytes into \xNN.
 *
 * Where lines go is the sink's business: stderr until log_set_sink(), the
 * parent's link in a sandboxed process.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_FATAL, LOG_LEVEL__MAX };

#define LOG_LINE_MAX 2048 /* octets, NUL included; longer lines end in "..." */

typedef void (*log_sink)(void *arg, enum log_level level, const char *line);

void log_set_name(const char *program);
const char *log_name(void);
void log_set_sink(log_sink sink, void *arg); /* NULL: stderr */
void log_set_verbose(bool verbose);	     /* debug lines on or off */
bool log_is_verbose(void);		     /* for who would work hard for a debug line */
void log_emit(enum log_level level, const char *line);

void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The environment fails us; this process ends with status 1 and is restarted. */
void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

/* A line built key by key: event first, then values, then logline_end(). */
struct logline {
	enum log_level level;
	size_t len;
	char text[LOG_LINE_MAX];
};

void logline_start(struct logline *l, enum log_level level, const char *event);
void logline_str(struct logline *l, const char *key, const char *value);
void logline_u64(struct logline *l, const char *key, uint64_t value);
void logline_i64(struct logline *l, const char *key, int64_t value);
void logline_id(struct logline *l, const char *key, uint64_t id); /* a message id */
void logline_end(struct logline *l);

#endif
