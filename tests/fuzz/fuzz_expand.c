/* SPDX-License-Identifier: ISC */
/* Alias targets: whatever a table holds, what comes out is an account's name or an address. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/expand.h"
#include "lookup/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conf_text[] = "table t { none = none }\n"
				"action A maildir alias <t>\n"
				"action V maildir virtual <t>\n"
				"action R relay\n"
				"match for local action A\n"
				"match for domain \"v.example\" action V\n"
				"match for any action R\n";

struct fixture {
	struct conf *conf;
	struct tables *tables;
	struct policy policy;
};

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static struct fixture *
fixture_get(void)
{
	static struct fixture f;
	struct conf_errors errors;

	if (f.conf != NULL)
		return &f;
	log_set_sink(ignore_log, NULL);
	f.conf = conf_parse_text("fuzz", conf_text, sizeof(conf_text) - 1, &errors);
	conf_errors_free(&errors);
	f.tables = tables_create();
	if (f.conf == NULL || f.tables == NULL)
		abort();
	f.policy = (struct policy){f.conf, f.tables, "h.example"};
	return &f;
}

static void
check_item(const struct expand_item *i)
{
	struct address a;
	const char *p;

	if (i->action[0] == '\0') {
		if (!str_starts_nocase(i->dest, EXPAND_FAILED "5.") || i->user[0] != '\0' ||
		    strlen(i->address) > IPC_ADDRESS_MAX || strlen(i->dest) > IPC_NAME_MAX)
			abort();
		return;
	}
	if (address_parse(i->address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		abort();
	if (i->user[0] == '\0')
		return;
	if (i->user[0] == '.' || i->user[0] == '-' || strlen(i->user) > 32)
		abort();
	for (p = i->user; *p != '\0'; p++)
		if (!char_is_alnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			abort();
}

static void
expand_all(const struct fixture *f, const char *address, const char *action)
{
	struct expansion e;
	struct address a;
	size_t i;

	if (address_parse(address, 0, &a) != ADDRESS_OK ||
	    expand_run(&f->policy, &a, conf_action_find(f->conf, action), &e) == -1)
		abort();
	if ((e.outcome == IPC_OK) != (e.nitems > e.nfailed))
		abort();
	for (i = 0; i < e.nitems; i++)
		check_item(&e.items[i]);
	expansion_free(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *f = fixture_get();
	char *text = malloc(size + 1), *p;

	if (text == NULL || tables_configure(f->tables, f->conf) == -1)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	/* "key value" lines; the strings must outlive the table, as a file's do. */
	for (p = strtok(text, "\n"); p != NULL; p = strtok(NULL, "\n")) {
		char *value = strchr(p, ' ');

		if (value == NULL)
			continue;
		*value = '\0';
		(void)!table_add(tables_find(f->tables, "t"), p, value + 1);
	}
	expand_all(f, "a@h.example", "A");
	expand_all(f, "a+b@v.example", "V");
	if (tables_configure(f->tables, f->conf) == -1)
		abort();
	free(text);
	return 0;
}
