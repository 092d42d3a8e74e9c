/* SPDX-License-Identifier: ISC */
/*
 * What is wrong with a configuration, and where.
 *
 * Invariant: the list is in the order of the text, whatever the order in which
 * the faults were found, and every text in it is printable ASCII.
 */
#include "lib/conf/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define WINDOW 160 /* octets of a long line that are shown */

/* Shows the part of the line about the column; returns where the caret goes. */
static void
error_quote(struct conf_error *out, const struct place *at)
{
	const char *line = at->source->text + at->line_at;
	size_t left = at->source->len - at->line_at, len = 0, from = 0, column = at->column - 1, i;
	size_t used = 0;

	while (len < left && line[len] != '\n')
		len++;
	if (column > len)
		column = len;
	if (len > WINDOW && column > WINDOW / 2)
		from = column - WINDOW / 2;
	for (i = from; i < len && used + 5 < sizeof(out->source); i++) {
		char one[8];

		if (i == column)
			out->caret = (unsigned int)used;
		if (line[i] == '\t')
			(void)snprintf(one, sizeof(one), " ");
		else if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
			(void)snprintf(one, sizeof(one), "\\x%02x", (unsigned char)line[i]);
		else
			(void)snprintf(one, sizeof(one), "%c", line[i]);
		memcpy(out->source + used, one, strlen(one) + 1);
		used += strlen(one);
	}
	if (column >= i)
		out->caret = (unsigned int)used;
}

/* A place in the list that keeps it in order, or NULL when the fault is only counted. */
static struct conf_error *
error_slot(struct conf_errors *e, unsigned int order)
{
	size_t i;

	if (e->list == NULL)
		e->list = calloc(CONF_ERRORS_MAX, sizeof(*e->list));
	if (e->list == NULL || e->n == CONF_ERRORS_MAX) {
		e->more++;
		return NULL;
	}
	for (i = e->n; i > 0 && e->list[i - 1].order > order; i--)
		e->list[i] = e->list[i - 1];
	e->n++;
	e->list[i] = (struct conf_error){.order = order};
	return &e->list[i];
}

void
error_add(struct conf_errors *e, const struct place *at, const char *fmt, ...)
{
	struct conf_error *out = error_slot(e, at->order);
	char text[sizeof(out->text)];
	va_list ap;

	if (out == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_escape(out->text, sizeof(out->text), text, strlen(text));
	out->line = at->line;
	out->column = at->column;
	if (at->source == NULL)
		return;
	str_escape(out->file, sizeof(out->file), at->source->name, strlen(at->source->name));
	error_quote(out, at);
}

void
error_add_near(struct conf_errors *e, const struct place *at, const char *what, const char *given,
    const char *const *words)
{
	const char *near = str_nearest(given, words);

	if (near != NULL)
		error_add(e, at, "%s '%.64s', did you mean '%s'?", what, given, near);
	else
		error_add(e, at, "%s '%.64s'", what, given);
}

void
conf_error_print(const struct conf_error *e, struct buf *out)
{
	/* A full buffer ends the report: there is nobody to tell. */
	(void)!buf_printf(out, "%s:%u:%u: %s\n%s\n%*s^\n", e->file, e->line, e->column, e->text,
	    e->source, (int)e->caret, "");
}

void
conf_errors_free(struct conf_errors *e)
{
	free(e->list);
	*e = (struct conf_errors){0};
}
