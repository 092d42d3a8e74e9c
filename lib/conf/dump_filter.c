/* SPDX-License-Identifier: ISC */
/*
 * A filter as smtpd.conf text, see dump.c.
 */
#include <stdio.h>

#include "lib/conf/dump.h"
#include "lib/conf/filter.h"

static int
dump_check(const struct conf_filter_test *t, struct buf *out)
{
	if (buf_printf(out, " %s%s%s", t->negated ? "!" : "", filter_words[t->kind].word,
		t->regex ? " regex" : "") == -1)
		return -1;
	if (t->table == NULL)
		return 0;
	return buf_append_str(out, " ") == -1 ? -1 : dump_table_name(t->table, out);
}

static int
dump_decision(const struct conf_filter *f, struct buf *out)
{
	char reply[CONF_REPLY_MAX + 32];
	const char *value = f->text;

	if (buf_printf(out, " %s", filter_decision_word(f->decision)) == -1)
		return -1;
	if (value == NULL)
		return 0;
	if (f->code != 0) {
		(void)snprintf(reply, sizeof(reply), "%d %s %s", f->code, f->status, f->text);
		value = reply;
	}
	return buf_append_str(out, " ") == -1 ? -1 : dump_string(value, out);
}

static int
dump_phase(const struct conf_filter *f, struct buf *out)
{
	size_t i;

	if (buf_printf(out, " phase %s match", conf_phase_name(f->phase)) == -1)
		return -1;
	for (i = 0; i < f->ntests; i++) {
		if (dump_check(&f->tests[i], out) == -1)
			return -1;
	}
	return dump_decision(f, out);
}

static int
dump_chain(const struct conf_filter *f, struct buf *out)
{
	size_t i;

	if (buf_append_str(out, " chain {") == -1)
		return -1;
	for (i = 0; i < f->nmembers; i++) {
		if (buf_append_str(out, " ") == -1 || dump_string(f->members[i], out) == -1)
			return -1;
	}
	return buf_append_str(out, " }");
}

int
dump_filter(const struct conf_filter *f, struct buf *out)
{
	if (buf_append_str(out, "filter ") == -1 || dump_string(f->name, out) == -1 ||
	    (f->chain ? dump_chain : dump_phase)(f, out) == -1)
		return -1;
	return buf_printf(out, " line %u\n", f->line);
}
