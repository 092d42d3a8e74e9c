/* SPDX-License-Identifier: ISC */
/*
 * From an address to a name and back: PTR, then A or AAAA of each name until
 * one of them has the address.
 *
 * Invariant: a name that leaves here is a valid host name, one that nobody
 * takes for an address.  It was chosen by whoever has the address: only a
 * CONFIRMED one says who that is.  Nothing is fatal.
 */
#include "lookup/rdns.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/net/host.h"

struct rdns { /* owned by who asked, until done is called */
	struct dns *dns;
	struct dns_query *query;
	rdns_done done;
	void *arg;
	uint8_t octets[HOST_OCTETS_MAX];
	size_t noctets;
	struct rdns_names names;
	size_t next;  /* name to be asked about */
	bool trouble; /* with one of them: it may be the one */
};

/* -- names -- */

/* "192.0.2.1" is a name to the grammar of RFC 1123, but no top-level domain is a number. */
static bool
ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *label = dot == NULL ? name : dot + 1;

	return label[strspn(label, "0123456789")] == '\0';
}

void
rdns_choose(const struct dns_records *records, struct rdns_names *out)
{
	size_t i;

	out->n = 0;
	for (i = 0; i < records->n && out->n < RDNS_NAMES_MAX; i++) {
		const char *name = records->list[i].name;

		if (address_domain_valid(name, false) && !ends_in_number(name) &&
		    str_copy(out->list[out->n], sizeof(out->list[0]), name) == 0)
			out->n++;
	}
}

/* -- questions -- */

void
rdns_cancel(struct rdns *r)
{
	if (r == NULL)
		return;
	dns_cancel(r->query);
	free(r);
}

static void
rdns_end(struct rdns *r, enum ipc_rdns result, const char *name)
{
	r->done(r->arg, result, name);
	free(r);
}

static void on_addresses(void *arg, enum dns_result result, const struct dns_records *records);

static void
ask_next(struct rdns *r)
{
	struct dns_question q = {
	    .type = r->noctets == 4 ? DNS_A : DNS_AAAA, .use = DNS_FOR_CLIENTS};

	while (r->next < r->names.n) {
		q.name = r->names.list[r->next++];
		r->query = dns_ask(r->dns, &q, on_addresses, r);
		if (r->query != NULL)
			return;
		r->trouble = true;
	}
	if (r->trouble)
		rdns_end(r, IPC_RDNS_TROUBLE, "");
	else
		rdns_end(r, IPC_RDNS_NAMED, r->names.list[0]);
}

static bool
has_address(const struct rdns *r, const struct dns_records *records)
{
	size_t i;

	for (i = 0; i < records->n; i++)
		if (memcmp(records->list[i].address, r->octets, r->noctets) == 0)
			return true;
	return false;
}

static void
on_addresses(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct rdns *r = arg;

	r->query = NULL;
	if (result == DNS_FOUND && has_address(r, records)) {
		rdns_end(r, IPC_RDNS_CONFIRMED, r->names.list[r->next - 1]);
		return;
	}
	if (result == DNS_TROUBLE || result == DNS_BOGUS)
		r->trouble = true;
	ask_next(r);
}

static void
on_names(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct rdns *r = arg;

	r->query = NULL;
	if (result == DNS_TROUBLE || result == DNS_BOGUS) {
		rdns_end(r, IPC_RDNS_TROUBLE, "");
		return;
	}
	if (result == DNS_FOUND)
		rdns_choose(records, &r->names);
	if (r->names.n == 0)
		rdns_end(r, IPC_RDNS_NONE, "");
	else
		ask_next(r);
}

struct rdns *
rdns_ask(struct dns *dns, const struct addr *client, rdns_done done, void *arg)
{
	char name[HOST_REVERSE_SIZE];
	const struct dns_question q = {name, DNS_PTR, DNS_FOR_CLIENTS};
	struct rdns *r;

	if (host_reverse(client, name) == -1 || (r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	*r = (struct rdns){.dns = dns, .done = done, .arg = arg};
	r->noctets = host_octets(client, r->octets);
	if ((r->query = dns_ask(dns, &q, on_names, r)) == NULL) {
		free(r);
		return NULL;
	}
	return r;
}
