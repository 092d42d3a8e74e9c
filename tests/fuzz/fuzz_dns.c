/* SPDX-License-Identifier: ISC */
/* DNS answers: every name that comes out, and every host chosen, can be written anywhere. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lookup/mx.h"
#include "lookup/rdns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const char *name)
{
	if (strlen(name) > DNS_NAME_MAX)
		abort();
	for (; *name != '\0'; name++)
		if (!char_is_alnum((unsigned char)*name) && strchr(".-_", *name) == NULL)
			abort();
}

static void
check_data(const struct dns_records *records, const struct dns_record *r)
{
	const uint8_t *end = records->data + records->ndata;

	if (records->ndata > DNS_DATA_MAX ||
	    (r->size > 0 && (r->data < records->data || r->data + r->size > end)))
		abort();
}

static void
check_records(const struct dns_records *records)
{
	static const struct mx_question q = {"d.example", "self.example", "", 7};
	struct rdns_names names;
	struct mx_list list;
	size_t i;

	check_name(records->canonical);
	for (i = 0; i < records->n; i++) {
		check_name(records->list[i].name);
		check_data(records, &records->list[i]);
	}
	(void)mx_choose(&q, DNS_FOUND, records, &list);
	for (i = 0; i < list.n; i++)
		if (!address_domain_valid(list.hosts[i].name, false) ||
		    strcmp(list.hosts[i].name, q.self) == 0 ||
		    (i > 0 && list.hosts[i].preference < list.hosts[i - 1].preference))
			abort();
	rdns_choose(records, &names);
	for (i = 0; i < names.n; i++)
		if (!address_domain_valid(names.list[i], false))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {
	    DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};
	struct dns_records records;
	size_t i;

	for (i = 0; i < NITEMS(types); i++)
		if (dns_parse(data, size, types[i], &records) == 0)
			check_records(&records);
	return 0;
}
