/* SPDX-License-Identifier: ISC */
/*
 * Files of tables, and questions about what is in them: the text before a NUL is the subject.  The same
 * text as a file that a table includes.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lookup/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void
ask(struct table *t, const char *subject)
{
	enum table_answer listed = table_has_word(t, subject);
	const char *value = NULL;
	struct address a;
	struct addr addr;

	if (table_value(t, subject, &value) == TABLE_YES && (value == NULL || listed != TABLE_YES))
		abort();
	if (table_has_domain(t, subject) == TABLE_NO && listed == TABLE_YES)
		abort();
	if (address_parse(subject, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) == ADDRESS_OK)
		(void)table_has_mailbox(t, &a);
	if (addr_parse(subject, 0, &addr) == 0)
		(void)table_has_network(t, &addr);
}

/* What an included file makes is a string as long as itself, and its items are not empty. */
static void
include(char *text, size_t len)
{
	const char *value = text;
	struct table_item item;

	table_include_to_value(text, len);
	if (strlen(text) != len)
		abort();
	while (table_item_next(&value, &item))
		if (item.len == 0 || item.at < text || item.at + item.len > text + len ||
		    value < item.at + item.len)
			abort();
	if (value != text + len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, '\0', size);
	size_t n = nul == NULL ? 0 : (size_t)(nul - data) + 1, len = size - n, skipped;
	char *text = malloc(len + 1);
	struct table *t;

	log_set_sink(ignore_log, NULL);
	if (text == NULL)
		return 0;
	memcpy(text, data + n, len);
	include(text, len);
	memcpy(text, data + n, len);
	if ((t = table_parse("fuzz", text, len, &skipped)) == NULL)
		abort();
	ask(t, n == 0 ? "" : (const char *)data);
	table_free(t);
	return 0;
}
