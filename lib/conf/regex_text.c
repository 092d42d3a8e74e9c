/* SPDX-License-Identifier: ISC */
/*
 * How large a regular expression is, and whether it is one.
 *
 * Invariant: what passes has at most REGEX_STATES_MAX states and no
 * back-reference, and is tried from the subject's beginning alone, so that a match costs
 * time in proportion to states and subject.  Nothing is fatal.
 */
#include "lib/conf/regex_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define IGNORE_CASE "(?i)"
#define ANYWHERE    ".*(%s)"
#define LOOPS_MAX   8
#define DEPTH_MAX   32 /* groups within groups */

const char *
regex_skip_flag(const char *text)
{
	return strncmp(text, IGNORE_CASE, strlen(IGNORE_CASE)) == 0 ? text + strlen(IGNORE_CASE)
								    : text;
}

struct group {
	size_t before; /* states of what stands in it, but for */
	size_t last;   /* the last, which may be repeated still */
	/* Of the branch so far, of its last part, and of an earlier branch: may it be empty? */
	bool before_empty, last_empty, other_empty;
	size_t loops, last_loops; /* endless repetitions of what may be empty */
	bool is_repeated;	  /* the last, already */
	bool is_bar;		  /* the last is a '|' */
};

struct measure {
	const char *at;
	struct group groups[DEPTH_MAX + 1];
	size_t depth;
	const char *why;
};

/* Behind a bracket expression, whose '[' is at s.  What is not closed regcomp() refuses. */
static const char *
skip_bracket(const char *s)
{
	char kind;

	s++;
	if (*s == '^')
		s++;
	if (*s == ']')
		s++;
	while (*s != '\0' && *s != ']') {
		kind = s[1];
		if (*s++ != '[' || kind == '\0' || strchr(":.=", kind) == NULL)
			continue;
		for (s++; *s != '\0' && !(s[0] == kind && s[1] == ']');)
			s++;
		if (*s != '\0')
			s += 2;
	}
	return *s == '\0' ? s : s + 1;
}

static size_t
bounded(size_t states)
{
	return states > REGEX_STATES_MAX ? REGEX_STATES_MAX + 1 : states;
}

static void
add_atom(struct measure *m, size_t states)
{
	struct group *g = &m->groups[m->depth];

	g->before = bounded(g->before + g->last);
	g->before_empty = g->before_empty && g->last_empty;
	g->loops = bounded(g->loops + g->last_loops);
	g->last = states;
	g->last_empty = g->is_repeated = g->is_bar = false;
	g->last_loops = 0;
}

/* Empty, until something is in it. */
static const struct group no_group = {.before_empty = true, .last_empty = true};

/* POSIX says nothing of it, and BSD refuses it. */
static void
refuse_empty_branch(struct measure *m, bool is_empty)
{
	if (is_empty)
		m->why = "an empty alternative";
}

static void
add_empty(struct measure *m, bool is_branch)
{
	struct group *g = &m->groups[m->depth];

	if (is_branch)
		refuse_empty_branch(m, g->last == 0 || g->is_bar);
	add_atom(m, 1);
	g->last_empty = true;
	if (!is_branch)
		return;
	g->is_bar = true;
	g->other_empty = g->other_empty || g->before_empty;
	g->before_empty = true;
}

static void
open_group(struct measure *m)
{
	if (m->depth == DEPTH_MAX) {
		m->why = "groups nested too deep";
		return;
	}
	m->groups[++m->depth] = no_group;
}

static void
close_group(struct measure *m)
{
	const struct group *g = &m->groups[m->depth];

	if (m->depth == 0) {
		m->why = "a ')' without its '('";
		return;
	}
	refuse_empty_branch(m, g->is_bar);
	m->depth--;
	add_atom(m, bounded(g->before + g->last + 2));
	m->groups[m->depth].last_empty = g->other_empty || (g->before_empty && g->last_empty);
	m->groups[m->depth].last_loops = bounded(g->loops + g->last_loops);
}

/* A number of an interval, at most REGEX_STATES_MAX + 1. */
static size_t
take_number(const char **s)
{
	size_t n = 0;

	for (; char_is_digit((unsigned char)**s); ++*s)
		n = bounded(n * 10 + (size_t)(**s - '0'));
	return n;
}

/* "{2}", "{2,}", "{2,5}" at m->at: how many copies are made of what stands before it. */
static size_t
take_interval(struct measure *m, bool *may_be_none, bool *endless)
{
	const char *s = m->at + 1;
	size_t least = take_number(&s), most = least;

	*endless = false;
	if (*s == ',') {
		s++;
		*endless = *s == '}';
		most = *endless ? least + 1 : take_number(&s);
	}
	m->at = *s == '}' ? s + 1 : s;
	if (most < least)
		most = least;
	*may_be_none = least == 0;
	return most == 0 ? 1 : most;
}

/*
 * glibc goes round an endless repetition of nothing in as many ways as there are, where an
 * anchor is: a few within each other take it longer than anybody waits.  And of two
 * repetitions in a row POSIX says nothing.
 */
static void
repeat(struct measure *m, size_t copies, bool may_be_none, bool endless)
{
	struct group *g = &m->groups[m->depth];

	if (g->is_repeated)
		m->why = "two repetitions in a row";
	g->is_repeated = true;
	g->last = bounded(bounded(copies) * (g->last + 1));
	g->last_loops = bounded(bounded(copies) * (g->last_loops + (endless && g->last_empty)));
	g->last_empty = g->last_empty || may_be_none;
}

static void
take_repetition(struct measure *m)
{
	bool may_be_none, endless;
	size_t copies;

	switch (*m->at) {
	case '{':
		copies = take_interval(m, &may_be_none, &endless);
		repeat(m, copies, may_be_none, endless);
		return;
	case '+': /* one, and then any number */
		repeat(m, 2, false, true);
		break;
	default:
		repeat(m, 1, true, *m->at == '*');
	}
	m->at++;
}

static void
take_escaped(struct measure *m)
{
	if (m->at[1] >= '1' && m->at[1] <= '9')
		m->why = "back-reference";
	m->at += m->at[1] == '\0' ? 1 : 2;
	add_atom(m, 1);
}

static void
take_part(struct measure *m)
{
	switch (*m->at) {
	case '(':
		open_group(m);
		m->at++;
		break;
	case ')':
		close_group(m);
		m->at++;
		break;
	case '[':
		m->at = skip_bracket(m->at);
		add_atom(m, 1);
		break;
	case '\\':
		take_escaped(m);
		break;
	case '{':
	case '+':
	case '*':
	case '?':
		take_repetition(m);
		break;
	case '|':
	case '^':
	case '$':
		add_empty(m, *m->at == '|');
		m->at++;
		break;
	default:
		add_atom(m, 1);
		m->at++;
	}
}

size_t
regex_states(const char *text, const char **why)
{
	struct measure m = {.at = regex_skip_flag(text), .groups = {no_group}};
	size_t states = 0, loops = 0;

	if (strlen(m.at) > REGEX_TEXT_MAX) {
		*why = "too long";
		return 0;
	}
	while (*m.at != '\0' && m.why == NULL)
		take_part(&m);
	if (m.why == NULL)
		refuse_empty_branch(&m, m.groups[m.depth].is_bar);
	if (m.why != NULL) {
		*why = m.why;
		return 0;
	}
	/* A group that is not closed is regcomp()'s to refuse. */
	for (;; m.depth--) {
		states = bounded(states + m.groups[m.depth].before + m.groups[m.depth].last);
		loops = bounded(loops + m.groups[m.depth].loops + m.groups[m.depth].last_loops);
		if (m.depth == 0)
			break;
	}
	if (loops > LOOPS_MAX) {
		*why = "too many endless repetitions of what may be empty";
		return 0;
	}
	return states == 0 ? 1 : states;
}

/*
 * Where an expression may begin anywhere, glibc tries each octet of the subject as its
 * beginning, and may make new states with each: seconds, and hundreds of megabytes.  One
 * that begins with anything at all is tried once, by whoever asks re_match().
 */
const char *
regex_compile(const char *text, regex_t *out)
{
	const char *plain = regex_skip_flag(text), *why = NULL;
	int flags = REG_EXTENDED | REG_NOSUB | (text == plain ? 0 : REG_ICASE);
	size_t states = regex_states(text, &why);
	char anywhere[REGEX_TEXT_MAX + sizeof(ANYWHERE)];

	if (states == 0)
		return why;
	if (states > REGEX_STATES_MAX)
		return "too many states, by its repetitions";
	(void)snprintf(anywhere, sizeof(anywhere), ANYWHERE, plain);
	switch (regcomp(out, anywhere, flags)) {
	case 0:
		return NULL;
	case REG_ESPACE:
		return "out of memory";
	default:
		return "not a regular expression";
	}
}

const char *
regex_fault(const char *text)
{
	const char *why;
	regex_t compiled;

	if ((why = regex_compile(text, &compiled)) == NULL)
		regfree(&compiled);
	return why;
}
