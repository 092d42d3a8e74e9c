/* SPDX-License-Identifier: ISC */
/*
 * Log lines: built here, escaped here, handed to one sink.
 *
 * Invariant: a line that leaves this file holds printable ASCII only and no
 * value in it can be read as a second key.
 */
#include "lib/base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

static struct {
	char name[32];
	log_sink sink;
	void *arg;
	bool verbose;
} state = {.name = "postern"};

static void
sink_stderr(enum log_level level, const char *line)
{
	static const char *const names[] = {"debug", "info", "warn", "fatal"};

	(void)fprintf(stderr, "%s: %s: %s\n", state.name, names[level], line);
}

void
log_set_name(const char *program)
{
	(void)snprintf(state.name, sizeof(state.name), "%s", program);
}

const char *
log_name(void)
{
	return state.name;
}

void
log_set_sink(log_sink sink, void *arg)
{
	state.sink = sink;
	state.arg = arg;
}

void
log_set_verbose(bool verbose)
{
	state.verbose = verbose;
}

bool
log_is_verbose(void)
{
	return state.verbose;
}

void
log_emit(enum log_level level, const char *line)
{
	char clean[LOG_LINE_MAX];

	if (level == LOG_LEVEL_DEBUG && !state.verbose)
		return;
	str_escape(clean, sizeof(clean), line, strlen(line));
	if (state.sink != NULL)
		state.sink(state.arg, level, clean);
	else
		sink_stderr(level, clean);
}

static void
emit_va(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	log_emit(level, text);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!state.verbose)
		return;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_va(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_va(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_va(LOG_LEVEL_FATAL, fmt, ap);
	va_end(ap);
	_Exit(1);
}

void
bug(const char *file, int line, const char *what)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "bug: %s:%d: %s", file, line, what);
	log_emit(LOG_LEVEL_FATAL, text);
	abort();
}

static void
line_add(struct logline *l, const char *s)
{
	size_t n = strlen(s), room = sizeof(l->text) - 1 - l->len;

	if (n > room)
		n = room;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = '\0';
}

static void
line_key(struct logline *l, const char *key)
{
	line_add(l, " ");
	line_add(l, key);
	line_add(l, "=");
}

void
logline_start(struct logline *l, enum log_level level, const char *event)
{
	l->level = level;
	l->len = 0;
	l->text[0] = '\0';
	line_add(l, "event=");
	line_add(l, event);
}

/* Bare when it is one plain word, else in double quotes with \" and \\ and \xNN. */
void
logline_str(struct logline *l, const char *key, const char *value)
{
	char quoted[1024];

	line_key(l, key);
	str_quote(quoted, sizeof(quoted), value);
	line_add(l, quoted);
}

void
logline_u64(struct logline *l, const char *key, uint64_t value)
{
	char text[24];

	line_key(l, key);
	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	line_add(l, text);
}

void
logline_i64(struct logline *l, const char *key, int64_t value)
{
	char text[24];

	line_key(l, key);
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	line_add(l, text);
}

void
logline_id(struct logline *l, const char *key, uint64_t id)
{
	char text[STR_ID_SIZE];

	line_key(l, key);
	str_id(text, id);
	line_add(l, text);
}

void
logline_end(struct logline *l)
{
	log_emit(l->level, l->text);
}
