/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_LEX_H
#define LIB_CONF_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/error.h"

/*
 * smtpd.conf(5) as a stream of tokens: quoting, comments, line continuation,
 * macros and the stack of included files are dealt with here.
 *
 * A lexical fault was already reported when its TOKEN_BAD is returned.  Each
 * file ends in a TOKEN_END of its own, so that nothing begun in a file can
 * continue in another; lex_pop() then goes back to the includer.
 */
#define LEX_DEPTH_MAX  16    /* files that include each other */
#define LEX_FILES_MAX  256   /* files in all */
#define LEX_MACROS_MAX 256   /* macros in all */
#define LEX_LINE_MAX   65536 /* octets of a line: a dump writes a statement in one */

enum token_kind {
	TOKEN_WORD,   /* bare: may be a keyword */
	TOKEN_STRING, /* quoted: never one */
	TOKEN_PUNCT,  /* one of { } < > , = ! */
	TOKEN_NEWLINE,
	TOKEN_END, /* of this file */
	TOKEN_BAD
};

struct token {
	enum token_kind kind;
	struct place at;
	char text[CONF_STRING_MAX + 1];
};

struct lex_input { /* where reading stands in a file that is not at its end */
	const struct source *source;
	size_t at;	/* the next octet */
	size_t line_at; /* the first octet of its line */
	unsigned int line;
	bool has_nul;		      /* the text was cut at one */
	bool control_seen, long_seen; /* was reported */
};

struct lex_macro {
	char *name, *value;
};

struct lexer { /* owns the sources and the macros */
	struct conf_errors *errors;
	struct source sources[LEX_FILES_MAX];
	size_t nsources, total; /* octets of all sources */
	struct lex_input stack[LEX_DEPTH_MAX];
	size_t depth;
	struct lex_macro macros[LEX_MACROS_MAX];
	size_t nmacros;
	const char *macro; /* what is left of the macro being read, or NULL */
	struct place macro_at;
	unsigned int order;
};

void lex_init(struct lexer *l, struct conf_errors *errors);
void lex_free(struct lexer *l);
/*
 * Reads from this text until its end; at is where it was included.  False:
 * too deep, a loop, too many or too large, which was reported.
 */
bool lex_push(struct lexer *l, const struct place *at, const char *name, const void *text,
    size_t len) WARN_UNUSED;
bool lex_pop(struct lexer *l); /* false: that was the last file */
void lex_next(struct lexer *l, struct token *t);
int lex_set_macro(struct lexer *l, const char *name, const char *value) WARN_UNUSED;

#endif
