/* SPDX-License-Identifier: ISC */
/*
 * Any text as smtpd.conf.  What is accepted dumps to a text that parses to the
 * same, and every role's part parses; what is refused says where, within the
 * text.  The files that it includes are pieces of itself, after NUL bytes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/pattern.h"

#define TEXT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

/* The path's first octet says which piece. */
static int
read_piece(void *arg, const char *path, struct buf *out)
{
	const struct input *in = arg;
	const uint8_t *p = in->data, *end = in->data + in->size, *nul;
	size_t skip = path[0] >= '0' && path[0] <= '9' ? (size_t)(path[0] - '0') : 0;

	while (skip-- > 0) {
		if ((nul = memchr(p, '\0', (size_t)(end - p))) == NULL) {
			errno = ENOENT;
			return -1;
		}
		p = nul + 1;
	}
	if ((nul = memchr(p, '\0', (size_t)(end - p))) == NULL)
		nul = end;
	return buf_append(out, p, (size_t)(nul - p));
}

static void
check_errors(const struct conf_errors *e)
{
	struct buf out;
	size_t i, j;

	if (e->n == 0 || e->n > CONF_ERRORS_MAX)
		abort();
	for (i = 0; i < e->n; i++) {
		if (i > 0 && e->list[i].order < e->list[i - 1].order)
			abort();
		if (e->list[i].caret > strlen(e->list[i].source))
			abort();
		buf_init(&out, 1 << 16);
		conf_error_print(&e->list[i], &out);
		for (j = 0; j < out.len; j++)
			if (buf_head(&out)[j] > '~' ||
			    (buf_head(&out)[j] < ' ' && buf_head(&out)[j] != '\n'))
				abort();
		buf_free(&out);
	}
}

static struct conf *
parse_again(const struct buf *text)
{
	struct conf_errors errors;
	struct conf *c = conf_parse_text("dump", (const char *)buf_head(text), text->len, &errors);

	if (c == NULL)
		abort();
	conf_errors_free(&errors);
	return c;
}

static bool
is_known(const char *secret)
{
	return secret != NULL && *secret != '\0';
}

/* No role but the vault has a private key's path, an srs key, or what is in a table of secrets. */
static void
check_part(const struct conf *c, unsigned int role, const struct conf *part)
{
	size_t i;

	for (i = 0; i < part->npkis && role != CONF_FOR_PARENT && role != CONF_FOR_VAULT; i++)
		if (part->pkis[i].key != NULL)
			abort();
	for (i = 0; i < part->ntables; i++) {
		const struct conf_table *t = &part->tables[i];

		if (role == CONF_FOR_PARENT || role == CONF_FOR_VAULT ||
		    t->kind == CONF_TABLE_ELSEWHERE)
			continue;
		if (conf_table_is_secret(c, t->name) &&
		    (role != CONF_FOR_HASHER || t->kind != CONF_TABLE_SQLITE) &&
		    (role != CONF_FOR_TABLE || t->kind != CONF_TABLE_POSTGRES))
			abort();
	}
	if (role != CONF_FOR_VAULT &&
	    (is_known(part->values.srs_key) || is_known(part->values.srs_key_old)))
		abort();
}

/* What TLS and AUTH rely on. */
static void
check_listeners(const struct conf *c)
{
	size_t i, j;

	for (i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		bool auth = l->auth || l->auth_optional, tls = l->tls != CONF_TLS_NONE;

		if ((l->npkis > 0) != tls || (l->verify && l->ca == NULL) ||
		    (auth && !tls && !l->insecure_auth) || (l->tokens != NULL && !auth))
			abort();
		for (j = 0; j < l->npkis; j++)
			if (conf_pki_find(c, l->pkis[j]) == NULL)
				abort();
		if ((l->ca != NULL && conf_ca_find(c, l->ca) == NULL) ||
		    (l->auth_table != NULL && conf_table_find(c, l->auth_table) == NULL) ||
		    (l->tokens != NULL && conf_table_find(c, l->tokens) == NULL) ||
		    (l->senders != NULL && conf_table_is_secret(c, l->senders)))
			abort();
	}
}

static void
check_dump(const struct conf *c)
{
	struct buf first, second;
	struct conf *again, *part;
	unsigned int role;

	buf_init(&first, 1 << 20);
	buf_init(&second, 1 << 20);
	if (conf_dump(c, CONF_FOR_ALL, &first) == -1)
		abort();
	again = parse_again(&first);
	if (conf_dump(again, CONF_FOR_ALL, &second) == -1 || first.len != second.len ||
	    memcmp(buf_head(&first), buf_head(&second), first.len) != 0)
		abort();
	conf_free(again);
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		buf_consume(&second, second.len);
		if (conf_dump(c, role, &second) == -1)
			abort();
		part = parse_again(&second);
		check_part(c, role, part);
		conf_free(part);
	}
	buf_free(&first);
	buf_free(&second);
}

/* No component of a path is chosen by a stranger to be "", "." or "..". */
static void
check_patterns(const struct conf *c, const char *stranger)
{
	struct pattern_values v = {.sender = stranger,
	    .rcpt = stranger,
	    .dest = stranger,
	    .username = stranger,
	    .directory = "/home"};
	char path[2048];
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		const char *pattern = c->actions[i].target;

		if (pattern == NULL || pattern_expand(pattern, &v, path, sizeof(path)) == -1)
			continue;
		if (path[0] != '/' || strstr(path, "/../") != NULL || strstr(path, "/./") != NULL)
			abort();
	}
}

/* What those who ask filters rely on. */
static void
check_filters(const struct conf *c)
{
	size_t i, j;

	for (i = 0; i < c->nlisteners; i++) {
		const char *name = c->listeners[i].filter;

		if (name != NULL && conf_filter_find(c, name) == NULL)
			abort();
	}
	for (i = 0; i < c->nfilters; i++) {
		const struct conf_filter *f = &c->filters[i];

		for (j = 0; j < f->nmembers; j++) {
			const struct conf_filter *member = conf_filter_find(c, f->members[j]);

			if (member == NULL || member->chain || member >= f)
				abort();
		}
		for (j = 0; j < f->ntests; j++)
			if (f->tests[j].table != NULL &&
			    conf_table_find(c, f->tests[j].table) == NULL)
				abort();
		for (j = 0; f->text != NULL && f->text[j] != '\0'; j++)
			if (f->text[j] < ' ' || f->text[j] > '~' || j == CONF_REPLY_MAX * 2)
				abort();
		if (f->code != 0 && (f->code / 100 != f->status[0] - '0' || j == 0))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct conf_errors errors;
	char stranger[64] = "";
	struct conf *c;

	if (size > TEXT_MAX)
		return 0;
	memcpy(stranger, data, size < sizeof(stranger) - 1 ? size : sizeof(stranger) - 1);
	if ((c = conf_parse("0", read_piece, &in, &errors)) == NULL) {
		check_errors(&errors);
	} else {
		check_dump(c);
		check_listeners(c);
		check_filters(c);
		check_patterns(c, stranger);
		check_patterns(c, "../.@..");
	}
	conf_free(c);
	conf_errors_free(&errors);
	return 0;
}
