/* SPDX-License-Identifier: ISC */
/*
 * The parser's view of the token in hand, and its complaints about it.
 *
 * Invariant: a TOKEN_BAD, which the lexer reported, is never reported again.
 */
#include "lib/conf/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/keyword.h"

void
parse_advance(struct parser *p)
{
	lex_next(&p->lex, &p->tok);
	if (parse_is_punct(p, '{'))
		p->braces++;
	else if (parse_is_punct(p, '}') && p->braces > 0)
		p->braces--;
}

bool
parse_is_end(const struct parser *p)
{
	return p->tok.kind == TOKEN_NEWLINE || p->tok.kind == TOKEN_END;
}

bool
parse_is_word(const struct parser *p, const char *word)
{
	return p->tok.kind == TOKEN_WORD && strcmp(p->tok.text, word) == 0;
}

bool
parse_is_punct(const struct parser *p, char c)
{
	return p->tok.kind == TOKEN_PUNCT && p->tok.text[0] == c;
}

bool
parse_is_name(const struct parser *p)
{
	return p->tok.kind == TOKEN_STRING ||
	       (p->tok.kind == TOKEN_WORD && !keyword_is_reserved(p->tok.text));
}

bool
parse_take_word(struct parser *p, const char *word)
{
	if (!parse_is_word(p, word))
		return false;
	parse_advance(p);
	return true;
}

bool
parse_take_punct(struct parser *p, char c)
{
	if (!parse_is_punct(p, c))
		return false;
	parse_advance(p);
	return true;
}

int
parse_fail(struct parser *p, const char *fmt, ...)
{
	char text[CONF_STRING_MAX];
	va_list ap;

	if (p->tok.kind == TOKEN_BAD)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_add(p->errors, &p->tok.at, "%s", text);
	return -1;
}

int
parse_expected(struct parser *p, const char *what)
{
	const char *found = p->tok.text;

	if (p->tok.kind == TOKEN_NEWLINE)
		return parse_fail(p, "expected %s at the end of the line", what);
	if (p->tok.kind == TOKEN_END)
		return parse_fail(p, "expected %s at the end of the file", what);
	if (p->tok.kind == TOKEN_WORD && keyword_is_reserved(found))
		return parse_fail(
		    p, "expected %s, found the keyword '%s' (quote it to use it so)", what, found);
	return parse_fail(p, "expected %s, found '%.64s'", what, found);
}

int
parse_unknown(struct parser *p, const char *what, const char *const *words)
{
	char unknown[64];

	if (p->tok.kind != TOKEN_WORD && p->tok.kind != TOKEN_STRING) {
		(void)snprintf(unknown, sizeof(unknown), "%s %s",
		    strchr("aeiou", what[0]) != NULL ? "an" : "a", what);
		return parse_expected(p, unknown);
	}
	(void)snprintf(unknown, sizeof(unknown), "unknown %s", what);
	error_add_near(p->errors, &p->tok.at, unknown, p->tok.text, words);
	return -1;
}

int
parse_supported(struct parser *p, const struct place *at, const char *context, const char *word)
{
	char what[64];
	const char *why;

	if (str_format(what, sizeof(what), *context == '\0' ? "%s%s" : "%s %s", context, word) ==
	    -1)
		return 0;
	if ((why = keyword_unsupported(what)) == NULL)
		return 0;
	error_add(p->errors, at, "'%s' is not supported by this release: %s", what, why);
	return -1;
}
