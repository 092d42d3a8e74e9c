/* SPDX-License-Identifier: ISC */
/*
 * From settings and files to a resolver: whom it asks, whom it believes.
 *
 * Invariant: a trust anchor in smtpd.conf takes the place of the file, and
 * "resolver forward" that of resolv.conf.  Nothing is fatal.
 */
#include "lookup/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/conf/anchor.h"
#include "lookup/file.h"
#include "lookup/resolv.h"

#define ANCHORS_MAX	(64U << 10) /* octets of the file of trust anchors */
#define RESOLV_CONF_MAX (64U << 10) /* octets of resolv.conf */

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Takes text over. */
static void
replace(struct resolver *r, char **slot, char *text)
{
	if (is_same(*slot, text)) {
		free(text);
		return;
	}
	free(*slot);
	*slot = text;
	r->stale = true;
}

static int
set(struct resolver *r, char **slot, const char *value)
{
	char *copy = NULL;

	if (value != NULL && (copy = strdup(value)) == NULL)
		return -1;
	replace(r, slot, copy);
	return 0;
}

int
resolver_configure(struct resolver *r, const struct conf_values *v)
{
	bool is_record = v->trust_anchor != NULL && anchor_is_record(v->trust_anchor);

	if (set(r, &r->anchor, is_record ? v->trust_anchor : NULL) == -1 ||
	    set(r, &r->forward, v->resolver_forward) == -1 ||
	    set(r, &r->root, v->resolver_root) == -1)
		return -1;
	return 0;
}

int
resolver_load(struct resolver *r, enum ipc_file kind, int fd)
{
	bool is_anchor = kind == IPC_FILE_ANCHOR;
	size_t len;
	char *text = file_read(fd, is_anchor ? ANCHORS_MAX : RESOLV_CONF_MAX, &len);

	if (text == NULL)
		return -1;
	replace(r, is_anchor ? &r->anchors : &r->resolv_conf, text);
	return 0;
}

/* Whether there is anything but comments in it. */
static bool
has_anchor(const char *text)
{
	while (text != NULL && *text != '\0') {
		text += strspn(text, " \t\r\n");
		if (*text != ';')
			return *text != '\0';
		text += strcspn(text, "\n");
	}
	return false;
}

/* Who meant to have DNSSEC is told that there is none. */
static void
log_resolver(const struct dns_plan *plan, bool validates)
{
	const struct resolv_servers *f = plan->forward, *root = plan->root;
	struct logline l;

	logline_start(&l, validates ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "resolver");
	logline_str(&l, "asks", f->n > 0 ? f->list[0] : root->n > 0 ? root->list[0] : "the root");
	logline_u64(&l, "servers", f->n > 0 ? f->n : root->n);
	logline_str(&l, "dnssec", validates ? "yes" : "no: there is no trust anchor");
	logline_end(&l);
}

bool
resolver_is_stale(const struct resolver *r)
{
	return r->stale && (!r->validates || r->anchor != NULL || r->anchors != NULL);
}

struct dns *
resolver_make(struct resolver *r, struct event_base *base)
{
	struct resolv_servers forward = {.n = 0}, root = {.n = 0};
	struct dns *dns;
	struct dns_plan plan = {.anchors = r->anchor != NULL ? r->anchor : r->anchors,
	    .forward = &forward,
	    .root = &root};

	/* "none" holds no address. */
	if (r->forward != NULL)
		resolv_parse_list(r->forward, &forward);
	else if (r->resolv_conf != NULL)
		resolv_parse(r->resolv_conf, &forward);
	if (r->root != NULL)
		resolv_parse_list(r->root, &root);
	r->stale = false;
	if ((dns = dns_create(base, &plan)) == NULL)
		return NULL;
	r->validates = has_anchor(plan.anchors);
	log_resolver(&plan, r->validates);
	return dns;
}

void
resolver_free(struct resolver *r)
{
	free(r->anchors);
	free(r->resolv_conf);
	free(r->anchor);
	free(r->forward);
	free(r->root);
	*r = (struct resolver){.anchors = NULL};
}
