/* SPDX-License-Identifier: ISC */
/*
 * smtpd.conf: the statement loop, macros, includes and tables.
 *
 * Invariant: every statement ends at the end of its line; after a fault the
 * loop goes on with the next line outside braces, so that one run tells all
 * faults.  A configuration is handed out only when there was none.
 */
#include "lib/conf/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/backend.h"
#include "lib/conf/check.h"
#include "lib/conf/keyword.h"

static int parse_include(struct parser *p);
static int parse_table_statement(struct parser *p);

static const struct {
	const char *word;
	int (*parse)(struct parser *);
} statements[] = {
    {"action", parse_action},
    {"ca", parse_ca},
    {"filter", parse_filter},
    {"include", parse_include},
    {"listen", parse_listen},
    {"match", parse_match},
    {"oauth", parse_oauth},
    {"pki", parse_pki},
    {"table", parse_table_statement},
};

/* The path of an included file: relative to the main file's directory. */
static int
include_path(const struct parser *p, const char *given, char *dst, size_t size)
{
	const char *slash = strrchr(p->path, '/');

	if (*given == '/' || slash == NULL)
		return str_copy(dst, size, given);
	return str_format(dst, size, "%.*s/%s", (int)(slash - p->path), p->path, given);
}

static int
include_file(struct parser *p, const struct place *at, const char *path)
{
	struct buf text;
	int r = 0;

	buf_init(&text, CONF_TEXT_MAX);
	if (p->read == NULL) {
		error_add(p->errors, at, "nothing can be included here");
		r = -1;
	} else if (p->read(p->arg, path, &text) == -1) {
		error_add(p->errors, at, "'%.128s': %s", path, strerror(errno));
		r = -1;
	} else if (!lex_push(&p->lex, at, path, buf_head(&text), text.len)) {
		r = -1;
	}
	buf_free(&text);
	return r;
}

static int
parse_include(struct parser *p)
{
	struct place at = p->tok.at;
	char path[CONF_STRING_MAX + 1], *given = NULL;
	int r;

	if (parse_string(p, "a file name", CONF_STRING_MAX, &given) == -1)
		return -1;
	r = include_path(p, given, path, sizeof(path));
	free(given);
	if (r == -1 || *path == '\0') {
		error_add(p->errors, &at, "not the name of a file");
		return -1;
	}
	if (!parse_is_end(p))
		return parse_expected(p, "the end of the line");
	/* The end of this line is in hand: the file is read before what follows it. */
	if (include_file(p, &at, path) == -1)
		return -1;
	p->tok.kind = TOKEN_NEWLINE;
	return 0;
}

static int
parse_macro(struct parser *p, const char *name, const struct place *at)
{
	size_t i;
	char *value = NULL;
	int r;

	for (i = 0; char_is_alnum((unsigned char)name[i]) || name[i] == '_'; i++)
		;
	if (name[i] != '\0' || i == 0 || keyword_is_reserved(name)) {
		error_add(p->errors, at, "'%.64s' can't be the name of a macro", name);
		return -1;
	}
	parse_advance(p);
	if (parse_string(p, "a value", CONF_STRING_MAX, &value) == -1)
		return -1;
	if (!parse_is_end(p)) {
		free(value);
		return parse_expected(p, "the end of the line");
	}
	if ((r = lex_set_macro(&p->lex, name, value)) == -1)
		error_add(p->errors, at, errno == ENOBUFS ? "too many macros" : "out of memory");
	free(value);
	return r;
}

/* The rest of "table NAME [BACKEND:]PATH". */
static int
parse_table_path(struct parser *p, struct conf_table *t)
{
	const char *path = p->tok.text;
	const struct backend *b;

	if (*path != '/' && strchr(path, ':') == NULL)
		return parse_expected(p, "'{' or an absolute path");
	b = *path == '/' ? backend_of_kind(CONF_TABLE_FILE) : backend_of_text(path);
	if (b == NULL)
		return parse_supported(p, &p->tok.at, "table", "backend");
	if (*path != '/')
		path += strlen(b->word) + 1;
	if (!b->check(path))
		return parse_fail(p, "'%.64s' is not %s", path, b->what);
	t->kind = b->kind;
	if ((t->path = strdup(path)) == NULL)
		return parse_fail(p, "out of memory");
	parse_advance(p);
	return 0;
}

static int
parse_table_statement(struct parser *p)
{
	struct conf_table *t;
	char *name = NULL;

	if (parse_is_name(p) && conf_table_find(p->conf, p->tok.text) != NULL)
		return parse_fail(p, "table '%.64s' is defined twice", p->tok.text);
	if (parse_checked(p, "a table name", check_name, &name) == -1 ||
	    (t = parse_new_table(p, name)) == NULL)
		return -1;
	if (parse_is_punct(p, '{'))
		return parse_entries(p, t);
	if (parse_take_word(p, "elsewhere")) {
		t->kind = CONF_TABLE_ELSEWHERE;
		return 0;
	}
	if (parse_is_name(p))
		return parse_table_path(p, t);
	return parse_expected(p, "'{' or an absolute path");
}

static int
statement_unknown(struct parser *p, const struct place *at, const char *word)
{
	const char *words[NITEMS(statements) + SETTING__MAX + 1];
	size_t i, n = 0;

	for (i = 0; i < NITEMS(statements); i++)
		words[n++] = statements[i].word;
	for (i = 0; i < SETTING__MAX; i++)
		words[n++] = conf_settings[i].group;
	words[n] = NULL;
	error_add_near(p->errors, at, "unknown keyword", word, words);
	return -1;
}

static int
parse_statement(struct parser *p)
{
	char word[CONF_STRING_MAX + 1];
	struct place at = p->tok.at;
	size_t i;

	if (p->tok.kind != TOKEN_WORD)
		return parse_expected(p, "a keyword");
	memcpy(word, p->tok.text, sizeof(word));
	parse_advance(p);
	if (parse_is_punct(p, '='))
		return parse_macro(p, word, &at);
	for (i = 0; i < NITEMS(statements); i++) {
		if (strcmp(statements[i].word, word) == 0)
			return statements[i].parse(p);
	}
	if (parse_supported(p, &at, "", word) == -1)
		return -1;
	for (i = 0; i < SETTING__MAX; i++) {
		if (strcmp(conf_settings[i].group, word) == 0)
			return parse_setting(p, word);
	}
	return statement_unknown(p, &at, word);
}

static int
parse_line(struct parser *p)
{
	if (parse_statement(p) == -1)
		return -1;
	return parse_is_end(p) ? 0 : parse_expected(p, "the end of the line");
}

/* To the end of the line on which braces are closed again. */
static void
parse_resync(struct parser *p)
{
	while (p->tok.kind != TOKEN_END && (p->tok.kind != TOKEN_NEWLINE || p->braces > 0))
		parse_advance(p);
}

/* All of this file and of those that it includes. */
static void
parse_all(struct parser *p)
{
	do {
		p->braces = 0;
		parse_advance(p);
		if (!parse_is_end(p) && parse_line(p) == -1) {
			p->failed = true;
			parse_resync(p);
		}
	} while (p->tok.kind != TOKEN_END || lex_pop(&p->lex));
}

static void
parser_free(struct parser *p)
{
	size_t i;

	lex_free(&p->lex);
	for (i = 0; i < p->nrefs; i++)
		free(p->refs[i].name);
	free(p->refs);
	explicit_bzero(&p->tok, sizeof(p->tok));
	free(p);
}

static struct conf *
parse_run(struct parser *p, const char *name, const void *text, size_t len)
{
	static const struct place nowhere;
	struct conf *c;

	if ((c = p->conf = calloc(1, sizeof(*c))) == NULL || settings_init(&c->values) == -1 ||
	    !lex_push(&p->lex, &nowhere, name, text, len)) {
		p->failed = true;
	} else {
		parse_all(p);
		parse_finish(p);
	}
	if (p->failed && p->errors->n == 0)
		error_add(p->errors, &nowhere, "out of memory");
	if (p->errors->n > 0 || p->errors->more > 0) {
		conf_free(c);
		c = NULL;
	}
	return c;
}

static struct parser *
parser_create(const char *path, conf_reader read, void *arg, struct conf_errors *errors)
{
	struct parser *p;

	*errors = (struct conf_errors){0};
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		errors->more = 1;
		return NULL;
	}
	p->path = path;
	p->read = read;
	p->arg = arg;
	p->errors = errors;
	lex_init(&p->lex, errors);
	return p;
}

struct conf *
conf_parse(const char *path, conf_reader read, void *arg, struct conf_errors *errors)
{
	struct parser *p = parser_create(path, read, arg, errors);
	struct source nameless = {.name = (char *)(uintptr_t)path};
	struct place top = {.source = &nameless, .line = 1, .column = 1};
	struct conf *c = NULL;
	struct buf text;

	if (p == NULL)
		return NULL;
	buf_init(&text, CONF_TEXT_MAX);
	if (read(arg, path, &text) == -1)
		error_add(errors, &top, "%s", strerror(errno));
	else
		c = parse_run(p, path, buf_head(&text), text.len);
	buf_free(&text);
	parser_free(p);
	return c;
}

struct conf *
conf_parse_text(const char *name, const char *text, size_t len, struct conf_errors *errors)
{
	struct parser *p = parser_create(name, NULL, NULL, errors);
	struct conf *c;

	if (p == NULL)
		return NULL;
	c = parse_run(p, name, text, len);
	parser_free(p);
	return c;
}
