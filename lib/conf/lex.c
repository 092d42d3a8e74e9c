/* SPDX-License-Identifier: ISC */
/*
 * The lexer of smtpd.conf.
 *
 * Invariant: at most LEX_FILES_MAX files of CONF_TEXT_MAX octets together are
 * ever read, LEX_DEPTH_MAX deep, and a macro is never expanded inside another,
 * so that the number of tokens is bounded by the text.  A text ends before its
 * first NUL.  Every octet is taken by lex_skip(), which reports bytes that no
 * configuration may hold, wherever they are: the first of each sort in a file.
 */
#include "lib/conf/lex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define CHAR_END (-1)

void
lex_init(struct lexer *l, struct conf_errors *errors)
{
	*l = (struct lexer){.errors = errors};
}

void
lex_free(struct lexer *l)
{
	size_t i;

	/* Passwords may stand in all of these. */
	for (i = 0; i < l->nsources; i++) {
		free(l->sources[i].name);
		if (l->sources[i].text != NULL)
			explicit_bzero(l->sources[i].text, l->sources[i].len);
		free(l->sources[i].text);
	}
	for (i = 0; i < l->nmacros; i++) {
		free(l->macros[i].name);
		if (l->macros[i].value != NULL)
			explicit_bzero(l->macros[i].value, strlen(l->macros[i].value));
		free(l->macros[i].value);
	}
}

static bool
push_allowed(const struct lexer *l, const struct place *at, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < l->depth; i++) {
		if (strcmp(l->stack[i].source->name, name) == 0) {
			error_add(l->errors, at, "'%.128s' includes itself", name);
			return false;
		}
	}
	if (l->depth == LEX_DEPTH_MAX)
		error_add(l->errors, at, "includes nested more than %d deep", LEX_DEPTH_MAX);
	else if (l->nsources == LEX_FILES_MAX)
		error_add(l->errors, at, "more than %d files", LEX_FILES_MAX);
	else if (len > CONF_TEXT_MAX - l->total)
		error_add(l->errors, at, "more than %u octets of configuration", CONF_TEXT_MAX);
	else
		return true;
	return false;
}

bool
lex_push(struct lexer *l, const struct place *at, const char *name, const void *text, size_t len)
{
	struct source *s;

	if (!push_allowed(l, at, name, len))
		return false;
	s = &l->sources[l->nsources++];
	s->name = strdup(name);
	s->text = malloc(len + 1);
	if (s->name == NULL || s->text == NULL) {
		error_add(l->errors, at, "out of memory");
		return false;
	}
	if (len > 0)
		memcpy(s->text, text, len);
	s->text[len] = '\0';
	s->len = strlen(s->text);
	l->total += len;
	l->stack[l->depth++] = (struct lex_input){.source = s, .line = 1, .has_nul = s->len < len};
	return true;
}

bool
lex_pop(struct lexer *l)
{
	l->depth--;
	return l->depth > 0;
}

static struct lex_macro *
macro_find(struct lexer *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->nmacros; i++) {
		if (strcmp(l->macros[i].name, name) == 0)
			return &l->macros[i];
	}
	return NULL;
}

int
lex_set_macro(struct lexer *l, const char *name, const char *value)
{
	struct lex_macro *m = macro_find(l, name);
	char *copy;

	if (m == NULL && l->nmacros == LEX_MACROS_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	if ((copy = strdup(value)) == NULL)
		return -1;
	if (m == NULL) {
		m = &l->macros[l->nmacros];
		if ((m->name = strdup(name)) == NULL) {
			free(copy);
			return -1;
		}
		l->nmacros++;
	}
	free(m->value);
	m->value = copy;
	return 0;
}

static bool
lex_in_macro(struct lexer *l)
{
	if (l->macro != NULL && *l->macro == '\0')
		l->macro = NULL;
	return l->macro != NULL;
}

static void
lex_place(struct lexer *l, struct place *at)
{
	const struct lex_input *in = &l->stack[l->depth - 1];

	if (lex_in_macro(l))
		*at = l->macro_at;
	else
		*at = (struct place){.source = in->source,
		    .line_at = in->line_at,
		    .line = in->line,
		    .column = (unsigned int)(in->at - in->line_at) + 1};
	at->order = l->order;
}

/* The next octet, not taken: a macro's, then the file's. */
static int
lex_peek(struct lexer *l)
{
	const struct lex_input *in = &l->stack[l->depth - 1];

	if (lex_in_macro(l))
		return (unsigned char)*l->macro;
	return in->at < in->source->len ? (unsigned char)in->source->text[in->at] : CHAR_END;
}

/* The octet that is being taken, of a file. */
static void
lex_check_octet(struct lexer *l, struct lex_input *in)
{
	unsigned char c = (unsigned char)in->source->text[in->at];
	struct place at;

	lex_place(l, &at);
	if (!in->control_seen && (c < ' ' || c == 0x7f) && c != '\t' && c != '\n') {
		error_add(l->errors, &at,
		    c == '\r' ? "carriage return: lines end in a newline alone" : "control byte");
		in->control_seen = true;
	}
	if (!in->long_seen && at.column > LEX_LINE_MAX && c != '\n') {
		error_add(l->errors, &at, "line longer than %d octets", LEX_LINE_MAX);
		in->long_seen = true;
	}
}

static void
lex_skip(struct lexer *l)
{
	struct lex_input *in = &l->stack[l->depth - 1];

	if (lex_in_macro(l)) {
		l->macro++;
		return;
	}
	lex_check_octet(l, in);
	if (in->source->text[in->at++] == '\n') {
		in->line++;
		in->line_at = in->at;
	}
}

/* Takes a backslash and the newline after it; false when that is not what comes. */
static bool
lex_skip_continuation(struct lexer *l)
{
	const struct lex_input *in = &l->stack[l->depth - 1];

	if (lex_peek(l) != '\\' || lex_in_macro(l) || in->at + 1 >= in->source->len ||
	    in->source->text[in->at + 1] != '\n')
		return false;
	lex_skip(l);
	lex_skip(l);
	return true;
}

/* As lex_peek(), with continued lines joined. */
static int
lex_peek_joined(struct lexer *l)
{
	while (lex_skip_continuation(l))
		;
	return lex_peek(l);
}

static bool
is_blank(int c)
{
	return c != '\n' && c != CHAR_END && (c <= ' ' || c == 0x7f);
}

static bool
is_word(int c)
{
	return c > ' ' && c < 0x7f && strchr("(){}<>!=#,\"'\\", c) == NULL;
}

static bool
is_macro_name(int c)
{
	return c > ' ' && (char_is_alnum((unsigned char)c) || c == '_');
}

static void
lex_skip_line(struct lexer *l)
{
	int c;

	while ((c = lex_peek_joined(l)) != '\n' && c != CHAR_END)
		lex_skip(l);
}

/* Collects octets while they are of the class; false when there are too many, reported. */
static bool
lex_collect(struct lexer *l, struct token *t, bool (*of_class)(int))
{
	size_t len = 0;
	int c;

	while (of_class(c = lex_peek_joined(l))) {
		if (len < CONF_STRING_MAX)
			t->text[len] = (char)c;
		len++;
		lex_skip(l);
	}
	t->text[len < CONF_STRING_MAX ? len : CONF_STRING_MAX] = '\0';
	if (len <= CONF_STRING_MAX)
		return true;
	error_add(l->errors, &t->at, "word longer than %d octets", CONF_STRING_MAX);
	return false;
}

/* After a '$': begins to read from the macro. */
static bool
lex_enter_macro(struct lexer *l, struct token *t)
{
	const char *words[LEX_MACROS_MAX + 1];
	struct lex_macro *m;
	size_t i;

	if (!lex_collect(l, t, is_macro_name))
		return false;
	if ((m = macro_find(l, t->text)) == NULL) {
		for (i = 0; i < l->nmacros; i++)
			words[i] = l->macros[i].name;
		words[i] = NULL;
		error_add_near(l->errors, &t->at, "undefined macro", t->text, words);
		return false;
	}
	l->macro = m->value;
	l->macro_at = t->at;
	return true;
}

/* After the opening quote.  A backslash escapes the quote and blanks, and is itself otherwise. */
static enum token_kind
lex_string(struct lexer *l, struct token *t, int quote)
{
	size_t len = 0;
	int c;

	while ((c = lex_peek(l)) != quote) {
		if (lex_skip_continuation(l))
			continue;
		if (c == '\n' || c == CHAR_END) {
			error_add(l->errors, &t->at, "string without a closing quote");
			return TOKEN_BAD;
		}
		lex_skip(l);
		if (c == '\\' &&
		    (lex_peek(l) == quote || lex_peek(l) == ' ' || lex_peek(l) == '\t')) {
			c = lex_peek(l);
			lex_skip(l);
		}
		if (len < CONF_STRING_MAX)
			t->text[len] = (char)c;
		len++;
	}
	lex_skip(l);
	t->text[len < CONF_STRING_MAX ? len : CONF_STRING_MAX] = '\0';
	if (len <= CONF_STRING_MAX)
		return TOKEN_STRING;
	error_add(l->errors, &t->at, "string longer than %d octets", CONF_STRING_MAX);
	return TOKEN_BAD;
}

static enum token_kind
lex_stray(struct lexer *l, const struct token *t, int c)
{
	if (c >= 0x80)
		error_add(
		    l->errors, &t->at, "byte \\x%02x outside a quoted string", (unsigned int)c);
	else
		error_add(l->errors, &t->at, "stray '%c'", c);
	lex_skip_line(l);
	return TOKEN_BAD;
}

static enum token_kind
lex_end(struct lexer *l, const struct token *t)
{
	struct lex_input *in = &l->stack[l->depth - 1];

	if (in->has_nul)
		error_add(l->errors, &t->at, "NUL byte");
	in->has_nul = false;
	return TOKEN_END;
}

static enum token_kind
lex_token(struct lexer *l, struct token *t)
{
	int c = lex_peek_joined(l);

	if (c == CHAR_END)
		return lex_end(l, t);
	if (is_word(c))
		return lex_collect(l, t, is_word) ? TOKEN_WORD : TOKEN_BAD;
	if (c != '\n' && (c >= 0x80 || strchr("{}<>,=!\"'", c) == NULL))
		return lex_stray(l, t, c);
	lex_skip(l);
	if (c == '"' || c == '\'')
		return lex_string(l, t, c);
	t->text[0] = (char)c;
	t->text[1] = '\0';
	return c == '\n' ? TOKEN_NEWLINE : TOKEN_PUNCT;
}

static void
lex_skip_blanks(struct lexer *l)
{
	while (is_blank(lex_peek_joined(l)))
		lex_skip(l);
	if (lex_peek_joined(l) == '#')
		lex_skip_line(l);
}

void
lex_next(struct lexer *l, struct token *t)
{
	l->order++;
	t->text[0] = '\0';
	lex_skip_blanks(l);
	lex_place(l, &t->at);
	while (lex_peek_joined(l) == '$' && !lex_in_macro(l)) {
		lex_skip(l);
		if (!lex_enter_macro(l, t)) {
			t->kind = TOKEN_BAD;
			return;
		}
		lex_skip_blanks(l);
		/* An empty macro: the token is what follows it. */
		if (!lex_in_macro(l))
			lex_place(l, &t->at);
	}
	t->kind = lex_token(l, t);
}
