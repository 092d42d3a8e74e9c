/* SPDX-License-Identifier: ISC */
/*
 * The plain settings as statements: all from the table in settings.h.
 *
 * Invariant: a setting that is given twice has its last value, as in the
 * family, so that an included file can be overruled.
 */
#include "lib/conf/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

static int
parse_setting_text(struct parser *p, enum setting_id id, const char *text, const struct place *at)
{
	const struct setting *s = &conf_settings[id];
	char wanted[128];

	if (setting_set(&p->conf->values, s, text) == 0) {
		p->setting_at[id] = *at;
		return 0;
	}
	setting_describe(s, wanted, sizeof(wanted));
	if (errno == ENOMEM)
		error_add(p->errors, at, "out of memory");
	else
		error_add(p->errors, at, "'%.64s' is not %s", text, wanted);
	return -1;
}

/* One address or several, separated by commas, as one text. */
static int
parse_servers(struct parser *p, enum setting_id id)
{
	char text[CONF_STRING_MAX + 1] = "";
	struct place at = p->tok.at;

	for (;;) {
		if (p->tok.kind != TOKEN_WORD && p->tok.kind != TOKEN_STRING)
			return parse_expected(p, "an address");
		if (str_append(text, sizeof(text), p->tok.text) == -1)
			return parse_fail(p, "too many addresses");
		parse_advance(p);
		if (!parse_take_punct(p, ','))
			break;
		if (str_append(text, sizeof(text), ",") == -1)
			return parse_fail(p, "too many addresses");
	}
	return parse_setting_text(p, id, text, &at);
}

/* <name>, { ... } or one value. */
static int
parse_setting_table(struct parser *p, enum setting_id id)
{
	struct place at = p->tok.at;
	char *name = NULL;
	int r = -1;

	if (parse_table(p, REFERENCE_LIST, &name) == 0)
		r = parse_setting_text(p, id, name, &at);
	free(name);
	return r;
}

static int
parse_setting_value(struct parser *p, enum setting_id id)
{
	const struct setting *s = &conf_settings[id];
	struct place at = p->tok.at;
	char wanted[128];

	if (s->type == SETTING_SERVERS)
		return parse_servers(p, id);
	if (s->type == SETTING_TABLE)
		return parse_setting_table(p, id);
	if (!parse_is_name(p)) {
		setting_describe(s, wanted, sizeof(wanted));
		return parse_expected(p, wanted);
	}
	if (parse_setting_text(p, id, p->tok.text, &at) == -1)
		return -1;
	parse_advance(p);
	if (id == SETTING_bounce_warn_s && parse_is_punct(p, ','))
		return parse_supported(p, &at, "bounce", "warn-interval list");
	return 0;
}

/* The family's "smtp limit max-rcpt N max-mails N". */
static int
parse_smtp_limit(struct parser *p)
{
	static const char *const words[] = {"max-rcpt", "max-mails", NULL};

	do {
		enum setting_id id = parse_is_word(p, "max-mails") ? SETTING_smtp_max_mails
								   : SETTING_smtp_max_recipients;

		if (!parse_take_word(p, "max-rcpt") && !parse_take_word(p, "max-mails"))
			return parse_unknown(p, "limit", words);
		if (parse_setting_value(p, id) == -1)
			return -1;
	} while (!parse_is_end(p));
	return 0;
}

int
parse_setting(struct parser *p, const char *group)
{
	const char *words[SETTING__MAX + 1];
	size_t i, n = 0;

	if (strcmp(group, "smtp") == 0 && parse_take_word(p, "limit"))
		return parse_smtp_limit(p);
	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];

		if (strcmp(s->group, group) != 0)
			continue;
		if (*s->name == '\0')
			return parse_setting_value(p, (enum setting_id)i);
		if (parse_take_word(p, s->name))
			return parse_setting_value(p, (enum setting_id)i);
		words[n++] = s->name;
	}
	words[n] = NULL;
	if (p->tok.kind == TOKEN_WORD && parse_supported(p, &p->tok.at, group, p->tok.text) == -1)
		return -1;
	return parse_unknown(p, "setting", words);
}
