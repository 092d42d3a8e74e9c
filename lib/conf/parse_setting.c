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
	char fault[256] = "out of memory";

	if (setting_set(&p->conf->values, s, text) == 0) {
		p->setting_at[id] = *at;
		return 0;
	}
	if (errno != ENOMEM)
		setting_fault(s, text, fault, sizeof(fault));
	error_add(p->errors, at, "%s", fault);
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

	if (parse_table(p, REFERENCE_NETWORKS, &name) == 0)
		r = parse_setting_text(p, id, name, &at);
	free(name);
	return r;
}

/* In what a role gets: another has the secret. */
static int
parse_secret_elsewhere(struct parser *p, enum setting_id id)
{
	char **secret = (void *)((char *)&p->conf->values + conf_settings[id].offset);

	if (p->read != NULL)
		return parse_fail(
		    p, "'elsewhere' is the server's own word (quote it to use it so)");
	free(*secret);
	if ((*secret = strdup("")) == NULL)
		return parse_fail(p, "out of memory");
	parse_advance(p);
	return 0;
}

static int
parse_setting_value(struct parser *p, enum setting_id id)
{
	const struct setting *s = &conf_settings[id];
	struct place at = p->tok.at;
	char wanted[SETTING_DESCRIPTION_MAX];

	if (s->type == SETTING_SERVERS || s->type == SETTING_SERVERS_NONE)
		return parse_servers(p, id);
	if (s->type == SETTING_TABLE)
		return parse_setting_table(p, id);
	if (s->type == SETTING_SECRET && parse_is_word(p, "elsewhere"))
		return parse_secret_elsewhere(p, id);
	if (!parse_is_name(p) && (s->type != SETTING_CHOICE || p->tok.kind != TOKEN_WORD)) {
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

/* Of a name that was taken, or of that and the word in hand, which is taken then. */
static enum setting_id
parse_second_word(struct parser *p, enum setting_id id)
{
	const struct setting *first = &conf_settings[id];
	size_t i, len = strlen(first->name);

	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];

		if (strcmp(s->group, first->group) == 0 &&
		    strncmp(s->name, first->name, len) == 0 && s->name[len] == ' ' &&
		    parse_take_word(p, s->name + len + 1))
			return (enum setting_id)i;
	}
	return id;
}

int
parse_setting(struct parser *p, const char *group)
{
	const char *words[SETTING__MAX + 1];
	size_t i, n = 0;

	if (strcmp(group, "smtp") == 0 && parse_take_word(p, "limit"))
		return parse_smtp_limit(p);
	if (strcmp(group, "mta") == 0 && parse_take_word(p, "limit"))
		return parse_limit(p);
	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];

		if (strcmp(s->group, group) != 0)
			continue;
		if (*s->name == '\0')
			return parse_setting_value(p, (enum setting_id)i);
		if (parse_take_word(p, s->name))
			return parse_setting_value(p, parse_second_word(p, (enum setting_id)i));
		words[n++] = s->name;
	}
	words[n] = NULL;
	if (p->tok.kind == TOKEN_WORD && parse_supported(p, &p->tok.at, group, p->tok.text) == -1)
		return -1;
	return parse_unknown(p, "setting", words);
}
