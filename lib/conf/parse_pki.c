/* SPDX-License-Identifier: ISC */
/*
 * "pki" and "ca": certificates to show, and those who may sign what clients
 * show.
 *
 * Invariant: a name is one object, however many statements tell of it, and in
 * lower case.  A pki without a key is there only in what the parent wrote for
 * a role that must not know where keys are.
 */
#include "lib/conf/parse.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"

static bool
is_pki_name(const char *s)
{
	return strcmp(s, "*") == 0 || check_hostname(s);
}

/* The name in hand, in lower case, that the caller frees; NULL after a report. */
static char *
parse_lower_name(struct parser *p, const char *what, bool (*check)(const char *))
{
	char *name = NULL;

	if (parse_is_name(p) && strlen(p->tok.text) > CONF_NAME_MAX) {
		(void)parse_fail(p, "%s may have at most %u octets", what, CONF_NAME_MAX);
		return NULL;
	}
	if (parse_checked(p, what, check, &name) == -1)
		return NULL;
	str_lower(name);
	return name;
}

/* The number of the pki of the name in hand, made when it is the first time. */
static int
parse_pki_name(struct parser *p, size_t *number)
{
	struct conf *c = p->conf;
	struct place at = p->tok.at;
	struct conf_pki *pki;
	char *name;

	if ((name = parse_lower_name(p, "a host name or '*'", is_pki_name)) == NULL)
		return -1;
	for (*number = 0; *number < c->npkis; (*number)++) {
		if (strcmp(c->pkis[*number].name, name) == 0) {
			free(name);
			return 0;
		}
	}
	pki = parse_new(p, &c->pkis, c->npkis, sizeof(*pki), PARSE_PKIS_MAX);
	if (pki == NULL) {
		free(name);
		return -1;
	}
	p->pki_notes[c->npkis++].at = at;
	pki->name = name;
	return 0;
}

static int
parse_dhe(struct parser *p, const struct place *at)
{
	static const char *const words[] = {"none", "auto", "legacy", NULL};

	if (!parse_take_word(p, "none")) {
		if (!parse_is_word(p, "auto") && !parse_is_word(p, "legacy"))
			return parse_unknown(p, "key exchange", words);
		if (parse_supported(p, at, "pki", "dhe") == -1)
			return -1;
		parse_advance(p);
	}
	return 0;
}

static int
parse_path(struct parser *p, char **path)
{
	return parse_checked(p, "an absolute path", check_path, path);
}

static int
parse_key(struct parser *p, size_t number)
{
	/* Only what the parent writes has no files that it could include. */
	if (p->read == NULL && parse_take_word(p, "elsewhere")) {
		p->pki_notes[number].key_elsewhere = true;
		return 0;
	}
	return parse_path(p, &p->conf->pkis[number].key);
}

int
parse_pki(struct parser *p)
{
	static const char *const words[] = {"cert", "key", "ocsp", "dhe", NULL};
	struct conf_pki *pki;
	struct place at;
	size_t number;
	int r;

	p->pki_seen = true;
	if (parse_pki_name(p, &number) == -1)
		return -1;
	pki = &p->conf->pkis[number];
	do {
		at = p->tok.at;
		if (parse_take_word(p, "cert"))
			r = parse_path(p, &pki->cert);
		else if (parse_take_word(p, "key"))
			r = parse_key(p, number);
		else if (parse_take_word(p, "ocsp"))
			r = parse_path(p, &pki->ocsp);
		else if (parse_take_word(p, "dhe"))
			r = parse_dhe(p, &at);
		else
			r = parse_unknown(p, "pki parameter", words);
	} while (r == 0 && !parse_is_end(p));
	if (r == -1)
		p->pki_notes[number].faulty = true;
	return r;
}

int
parse_ca(struct parser *p)
{
	static const char *const words[] = {"cert", NULL};
	struct conf *c = p->conf;
	struct conf_ca *ca;
	struct place at = p->tok.at;
	char *name;

	if ((name = parse_lower_name(p, "a ca name", check_name)) == NULL)
		return -1;
	if (conf_ca_find(c, name) != NULL) {
		error_add(p->errors, &at, "ca '%.64s' is defined twice", name);
		free(name);
		return -1;
	}
	if ((ca = parse_new(p, &c->cas, c->ncas, sizeof(*ca), PARSE_CAS_MAX)) == NULL) {
		free(name);
		return -1;
	}
	c->ncas++;
	ca->name = name;
	if (!parse_take_word(p, "cert"))
		return parse_unknown(p, "ca parameter", words);
	return parse_path(p, &ca->cert);
}
