/* SPDX-License-Identifier: ISC */
/* smtpd.conf(5), the page: it has every keyword, each with an example, and the parser takes these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/keyword.h"
#include "lib/conf/limit_words.h"
#include "lib/conf/match.h"
#include "lib/conf/option.h"
#include "lib/conf/settings.h"

#define MANUAL "man/smtpd.conf.5"

static char *
manual_read(void)
{
	FILE *f = fopen(MANUAL, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(text);
	if (f == NULL)
		fail_msg(MANUAL ": %s", strerror(errno));
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	(void)fclose(f);
	return text;
}

/* Each setting has an entry of its own, with its default where it has one. */
static void
test_settings(void **state)
{
	char *text = manual_read(), heading[128], value[128];
	size_t i;

	(void)state;
	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];
		const char *entry;

		(void)snprintf(heading, sizeof(heading), "\n.It Ic %s%s%s ", s->group,
		    *s->name == '\0' ? "" : " ", s->name);
		if ((entry = strstr(text, heading)) == NULL)
			fail_msg("no entry:%s", heading);
		if (s->fallback == NULL)
			continue;
		(void)snprintf(value, sizeof(value), "%s", s->fallback);
		entry = strstr(entry, value);
		if (entry == NULL)
			fail_msg("no default %s in:%s", value, heading);
	}
	free(text);
}

static bool
has_word(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word), i;

	for (i = 0; i + n <= len; i++) {
		if (strncmp(line + i, word, n) == 0 &&
		    (i == 0 || isspace((unsigned char)line[i - 1])) &&
		    (i + n == len || isspace((unsigned char)line[i + n])))
			return true;
	}
	return false;
}

/* Whether a line of the section begins so and has the word. */
static bool
section_has(const char *section, const char *end, const char *start, const char *word)
{
	const char *line, *next;

	for (line = section; line < end; line = next + 1) {
		if ((next = strchr(line, '\n')) == NULL)
			return false;
		if (strncmp(line, start, strlen(start)) == 0 &&
		    has_word(line, (size_t)(next - line), word))
			return true;
	}
	return false;
}

/* Each option of a listener has an entry and an example, or is among what is not supported. */
static void
test_options(void **state)
{
	char *text = manual_read(), context[64];
	const char *section = strstr(text, "\n.Ss Listeners\n"), *end, *lacking;
	size_t i;

	(void)state;
	assert_non_null(section);
	end = strstr(section, "\n.Ss Actions\n");
	lacking = strstr(text, "\n.Sh NOT SUPPORTED\n");
	assert_true(end != NULL && lacking != NULL);
	for (i = 0; i < listener_options.nrows; i++) {
		const char *word = listener_options.rows[i].word;

		(void)snprintf(context, sizeof(context), "listen %s", word);
		if (keyword_unsupported(context) != NULL) {
			assert_true(section_has(lacking, text + strlen(text), ".Cm ", word));
			continue;
		}
		if (!section_has(section, end, ".It Cm ", word))
			fail_msg("no entry: %s", word);
		if (!section_has(section, end, ".D1 listen on", word))
			fail_msg("no example: %s", word);
	}
	for (i = 0; i < 3; i++) {
		static const char *const words[] = {"cert", "key", "ocsp"};

		assert_true(section_has(text, section, ".It Ic pki Ar name", words[i]));
		assert_true(section_has(text, section, i < 2 ? "pki " : ".D1 pki ", words[i]));
	}
	assert_true(section_has(text, section, ".It Ic ca Ar name", "cert"));
	assert_true(section_has(text, section, ".D1 ca ", "cert"));
	for (i = 0; i < 5; i++) {
		static const char *const words[] = {
		    "cdb", "sqlite", "postgres", "dovecot", "helper"};
		char example[32];

		assert_true(section_has(text, section, ".It Ic table Ar name", words[i]));
		(void)snprintf(example, sizeof(example), " %s:/", words[i]);
		assert_non_null(strstr(text, example));
	}
	free(text);
}

/* Each option of an action, but what is not supported. */
static void
test_actions(void **state)
{
	char *text = manual_read(), context[64];
	const char *section = strstr(text, "\n.Ss Actions\n"), *end, *lacking;
	size_t i;

	(void)state;
	assert_non_null(section);
	end = strstr(section, "\n.Ss Rules\n");
	lacking = strstr(text, "\n.Sh NOT SUPPORTED\n");
	assert_true(end != NULL && lacking != NULL);
	for (i = 0; i < action_options.nrows; i++) {
		const char *word = action_options.rows[i].word;

		(void)snprintf(context, sizeof(context), "action %s", word);
		if (keyword_unsupported(context) != NULL) {
			if (!section_has(lacking, text + strlen(text), ".Cm ", word))
				fail_msg("neither supported nor listed: %s", word);
			continue;
		}
		if (!section_has(section, end, ".It Cm ", word))
			fail_msg("no entry: %s", word);
		if (!section_has(section, end, ".D1 action", word))
			fail_msg("no example: %s", word);
	}
	free(text);
}

/* Each option of an "oauth", and each word of "mta limit"; of the latter several share an entry. */
static void
test_relays(void **state)
{
	char *text = manual_read(), word[64];
	const char *oauth = strstr(text, "\n.Ss OAuth\n"), *limits, *end;
	size_t i;

	(void)state;
	assert_non_null(oauth);
	limits = strstr(oauth, "\n.Ss Limits\n");
	assert_non_null(limits);
	end = strstr(limits, "\n.Ss Rules\n");
	assert_non_null(end);
	for (i = 0; i < oauth_options.nrows; i++) {
		(void)snprintf(word, sizeof(word), "%s", oauth_options.rows[i].word);
		if (!section_has(oauth, limits, ".It Cm ", word))
			fail_msg("no entry: %s", word);
		if (!section_has(oauth, limits, ".D1 oauth ", word))
			fail_msg("no example: %s", word);
	}
	for (i = 0; i < limit_nwords; i++)
		if (!section_has(limits, end, ".It Cm ", limit_words[i].word))
			fail_msg("no entry: %s", limit_words[i].word);
	assert_true(section_has(limits, end, "mta limit for mx", "max-rate-per-mx"));
	free(text);
}

/* Each condition of a rule. */
static void
test_conditions(void **state)
{
	static const char *const values[] = {
	    [MATCH_NOTHING] = "",
	    [MATCH_TABLE] = " Ar table",
	    [MATCH_TABLE_OPTIONAL] = " Op Ar table",
	};
	char *text = manual_read(), entry[128], words[64];
	const char *section = strstr(text, "\n.Ss Rules\n"), *end;
	size_t i;

	(void)state;
	assert_non_null(section);
	end = strstr(section, "\n.Ss Filters\n");
	assert_non_null(end);
	for (i = 0; i < match_nwords; i++) {
		const struct match_word *row = &match_words[i];

		(void)snprintf(words, sizeof(words), "%s%s%s", row->group,
		    *row->group == '\0' ? "" : " ", row->word);
		(void)snprintf(entry, sizeof(entry), "\n.It Cm %s%s\n", words, values[row->value]);
		if (memmem(section, (size_t)(end - section), entry, strlen(entry)) == NULL)
			fail_msg("no entry: %s", entry);
		if (!section_has(section, end, ".D1 match", words))
			fail_msg("no example: %s", words);
	}
	free(text);
}

/* One line of an example as smtpd.conf: what mdoc(7) escapes is put back. */
static int
append_example(struct buf *out, const char *line, size_t len)
{
	char one[1024];
	size_t i, n = 0;

	for (i = 0; i < len && n < sizeof(one) - 1; i++) {
		if (strncmp(line + i, "\\(dq", 4) == 0) {
			one[n++] = '"';
			i += 3;
		} else if (strncmp(line + i, "\\e", 2) == 0) {
			one[n++] = '\\';
			i++;
		} else {
			one[n++] = line[i];
		}
	}
	one[n] = '\0';
	return buf_printf(out, "%s\n", one);
}

/* What parses is right, but for names that an example does not define. */
static void
check_example(struct buf *example)
{
	struct conf_errors errors;
	struct conf *c;
	size_t i;

	assert_int_equal(
	    buf_append_str(example, "pki mx.example.org cert /c key /k\nsrs key k\n"), 0);
	c = conf_parse_text("t", (const char *)buf_head(example), example->len, &errors);
	for (i = 0; c == NULL && i < errors.n; i++) {
		if (strncmp(errors.list[i].text, "undefined ", 10) != 0 &&
		    strncmp(errors.list[i].text, "no filter before", 16) != 0 &&
		    strstr(errors.list[i].text, "is defined twice") == NULL)
			fail_msg("%.*s%s", (int)example->len, (const char *)buf_head(example),
			    errors.list[i].text);
	}
	conf_free(c);
	conf_errors_free(&errors);
	buf_consume(example, example->len);
}

/* Of the lines after .D1 and between .Bd and .Ed, those that begin with a statement's word. */
static void
test_examples(void **state)
{
	static const char *const statements =
	    " action auth bounce ca control filter hostname "
	    "listen lookup match mta oauth pki queue resolver smtp srs table trust vault ";
	char *text = manual_read(), *line, *save = NULL, word[32];
	bool displayed = false;
	struct buf example;
	size_t n = 0;

	(void)state;
	buf_init(&example, 1 << 16);
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		bool single = strncmp(line, ".D1 ", 4) == 0;

		if (strncmp(line, ".Ed", 3) == 0) {
			displayed = false;
			(void)snprintf(word, sizeof(word), " %.*s ",
			    (int)strcspn((const char *)buf_head(&example), " \n"),
			    (const char *)buf_head(&example));
			if (strstr(statements, word) != NULL && ++n > 0)
				check_example(&example);
			buf_consume(&example, example.len);
		} else if (displayed) {
			assert_int_equal(append_example(&example, line, strlen(line)), 0);
		} else if (strncmp(line, ".Bd -literal", 12) == 0) {
			displayed = true;
		} else if (single) {
			line += 4;
			(void)snprintf(word, sizeof(word), " %.*s ", (int)strcspn(line, " "), line);
			if (strstr(statements, word) == NULL)
				continue;
			assert_int_equal(append_example(&example, line, strlen(line)), 0);
			check_example(&example);
			n++;
		}
	}
	/* They were found at all. */
	assert_true(n > 100);
	buf_free(&example);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_actions),
	    cmocka_unit_test(test_relays),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
