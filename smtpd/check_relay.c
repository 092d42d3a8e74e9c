/* SPDX-License-Identifier: ISC */
/*
 * What the sending side needs, for smtpd -n: addresses to connect from, sockets of
 * programs that take mail, hosts in files, keys and a place to keep consent in.
 */
#include "smtpd/smtpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/conf/check_url.h"
#include "lib/conf/table_entry.h"

#define HOSTS_TEXT_MAX (16U << 20)

/* -- addresses of ours -- */

static socklen_t
make_address(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		return sizeof(*in6);
	}
	return 0;
}

static void
check_source(struct checking *k, const char *text)
{
	struct sockaddr_storage address;
	socklen_t len = make_address(text, &address);
	int fd;

	if (len == 0)
		return; /* the parser said it */
	if ((fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (const struct sockaddr *)&address, len) == -1)
		check_problem(k, "source address", text, strerror(errno));
	if (fd != -1)
		(void)close(fd);
}

/* Those that are written in smtpd.conf. */
static void
check_sources(struct checking *k, const char *table)
{
	const struct conf_table *t = conf_table_find(k->d->conf, table);
	char item[CONF_STRING_MAX + 1];
	const char *list;
	size_t i;

	for (i = 0; t != NULL && i < t->npairs; i++) {
		list = t->pairs[i].value == NULL ? t->pairs[i].key : t->pairs[i].value;
		while (text_next(&list, item))
			check_source(k, item);
	}
}

/* -- hosts in a file -- */

static const char *
url_fault(const struct conf *conf, const struct conf_action *a, const char *url)
{
	char label[CONF_NAME_MAX + 1];
	bool labelled, clear;

	if (!check_relay_url(url))
		return "not a host such as smtp://mx.example.org:25";
	labelled = relay_url_label(url, label);
	clear = relay_url_is_clear(url);
	if (clear && (labelled || a->tls_required))
		return "this needs TLS: not smtp+notls";
	if (labelled && a->tls_no_verify)
		return "a label is for a server that was verified: not 'tls no-verify'";
	if (labelled && a->auth == NULL && conf_oauth_find(conf, label) == NULL)
		return "its label needs 'auth', or an 'oauth' of that name";
	return NULL;
}

static void
check_entry(struct checking *k, const struct conf_action *a, const struct conf_table *t,
    const struct table_entry *e)
{
	const char *list = e->value == NULL ? e->key : e->value, *why = e->why;
	char shown[FILES_WHY_MAX], url[CONF_STRING_MAX + 1] = "";

	while (why == NULL && text_next(&list, url))
		why = url_fault(k->d->conf, a, url);
	if (why == NULL)
		return;
	(void)snprintf(shown, sizeof(shown), "line %zu: '%.64s': %s", e->line, url, why);
	check_problem(k, "table file", t->path, shown);
}

static void
check_hosts(struct checking *k, const struct conf_action *a, const char *table)
{
	const struct conf_table *t = conf_table_find(k->d->conf, table);
	struct table_entries entries;
	struct table_entry e;
	struct buf text;

	if (t == NULL || t->kind != CONF_TABLE_FILE)
		return;
	buf_init(&text, HOSTS_TEXT_MAX);
	/* That it can't be read is said where all tables are looked at. */
	if (files_read(NULL, t->path, &text) == 0 && buf_append(&text, "", 1) == 0) {
		table_entries_init(
		    &entries, (char *)text.data + text.head, text.len - 1, TABLE_ENTRY_NAMES);
		while (table_entries_next(&entries, &e))
			check_entry(k, a, t, &e);
	}
	buf_free(&text);
}

/* -- logins -- */

/* 1: the text has the label, with a login; 0: with something else; -1: it has it not. */
static int
login_in_text(struct buf *text, const char *label)
{
	struct table_entries entries;
	struct table_entry e;

	table_entries_init(
	    &entries, (char *)text->data + text->head, text->len - 1, TABLE_ENTRY_LOGINS);
	while (table_entries_next(&entries, &e))
		if (e.why == NULL && strcasecmp(e.key, label) == 0)
			return e.value != NULL && strchr(e.value, ':') != NULL;
	return -1;
}

static int
login_in_pairs(const struct conf_table *t, const char *label)
{
	size_t i;

	for (i = 0; i < t->npairs; i++)
		if (strcasecmp(t->pairs[i].key, label) == 0)
			return t->pairs[i].value != NULL && strchr(t->pairs[i].value, ':') != NULL;
	return -1;
}

/* What the URL's label stands for, where smtpd.conf or a file of lines says it. */
static void
check_login(struct checking *k, const struct conf_action *a)
{
	const struct conf_table *t = conf_table_find(k->d->conf, a->auth);
	char label[CONF_NAME_MAX + 1], what[CONF_NAME_MAX + sizeof("table <>")];
	struct buf text;
	int found = 1;

	if (t == NULL || a->host == NULL || !relay_url_label(a->host, label))
		return;
	buf_init(&text, HOSTS_TEXT_MAX);
	if (t->kind == CONF_TABLE_MAP)
		found = login_in_pairs(t, label);
	else if (t->kind == CONF_TABLE_FILE && files_read(NULL, t->path, &text) == 0 &&
		 buf_append(&text, "", 1) == 0)
		found = login_in_text(&text, label);
	buf_free(&text);
	(void)snprintf(what, sizeof(what), "table <%.64s>", t->name);
	if (found != 1)
		check_problem(k, what, label,
		    found == 0 ? "not of the form user:password" : "there is no such label");
}

/* -- actions -- */

/* Whoever listens may not run yet; but there must be something to connect to when he does. */
static void
check_lmtp_socket(struct checking *k, const char *path)
{
	struct stat st;

	if (*path != '/')
		return;
	if (stat(path, &st) == -1)
		check_problem(k, "socket", path, strerror(errno));
	else if (!S_ISSOCK(st.st_mode))
		check_problem(k, "socket", path, "not a socket");
}

/* Without authorities nobody can be verified. */
static bool
needs_authorities(const struct conf *c)
{
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		const struct conf_action *a = &c->actions[i];

		if (a->ca == NULL && a->fingerprint == NULL &&
		    ((a->tls_required && !a->tls_no_verify) || a->auth != NULL))
			return true;
	}
	return c->noauths > 0;
}

static void
check_ports(struct checking *k)
{
	uint16_t ports[2 * ROLE_PORTS_MAX];
	char shown[FILES_WHY_MAX];

	if (ports_find(k->d, PORTS_SMTP, ports, NITEMS(ports)) <= ROLE_PORTS_MAX)
		return;
	(void)snprintf(shown, sizeof(shown),
	    "they have more than %d ports, and only the first can be connected to", ROLE_PORTS_MAX);
	check_problem(k, "action", "relay", shown);
}

/* -- what OAuth needs -- */

static void
check_key(struct checking *k, const struct secret_file *f, const char *what, off_t size)
{
	const char *why;
	struct stat st;
	int fd;

	if ((why = secrets_open(f, &fd, &st)) == NULL) {
		(void)close(fd);
		if ((why = secrets_key_fault(&st)) == NULL && size != 0 && st.st_size != size)
			why = "not a key that the server made";
	}
	if (why != NULL)
		check_problem(k, what, f->path, why);
}

/* What is not there will be made, if others can't make it first. */
static void
check_vault_key(struct checking *k)
{
	const char *path = k->d->conf->values.vault_key;
	const struct secret_file f = {IPC_DATA_SEAL_KEY, "", path};
	char why[CHECK_WHY_MAX];

	if (access(path, F_OK) == 0)
		check_key(k, &f, "vault key", SEAL_KEY_SIZE);
	else if (check_way(path, why) == -1)
		check_problem(k, "vault key", path, why);
}

static void
check_vault_directory(struct checking *k)
{
	const char *path = k->d->conf->values.vault_directory, *why;
	struct stat st;

	if (stat(path, &st) == -1) {
		if (errno != ENOENT)
			check_problem(k, "vault directory", path, strerror(errno));
	} else if ((why = seal_directory_fault(&st)) != NULL)
		check_problem(k, "vault directory", path, why);
}

static void
check_oauths(struct checking *k)
{
	const struct conf *c = k->d->conf;
	size_t i;

	if (c->noauths == 0)
		return;
	check_vault_key(k);
	check_vault_directory(k);
	for (i = 0; i < c->noauths; i++) {
		const struct secret_file f = {
		    IPC_DATA_OAUTH_KEY, c->oauths[i].name, c->oauths[i].key};

		if (f.path != NULL)
			check_key(k, &f, "key", 0);
	}
}

void
check_relays(struct checking *k)
{
	const struct conf *c = k->d->conf;
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		const struct conf_action *a = &c->actions[i];

		if (a->kind == CONF_ACTION_LMTP)
			check_lmtp_socket(k, a->target);
		if (a->src != NULL)
			check_sources(k, a->src);
		if (a->auth != NULL)
			check_login(k, a);
		if (a->host_table != NULL)
			check_hosts(k, a, a->host_table);
		if (a->domain_table != NULL)
			check_hosts(k, a, a->domain_table);
	}
	if (needs_authorities(c) && access(c->values.ca_file, R_OK) == -1)
		check_problem(k, "CA certificates", c->values.ca_file, strerror(errno));
	check_ports(k);
	check_oauths(k);
}
