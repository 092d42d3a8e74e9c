/* SPDX-License-Identifier: ISC */
/*
 * smtpd-lookup: DNS, tables, aliases and the match rules.  It is asked by
 * session (may this recipient be accepted), queue (who is it in the end) and
 * delivery (which hosts take its mail).  See dispatch.c.
 */
#include "lookup/lookup.h"

int
main(void)
{
	static struct lookup l;
	int rc = 1;

	if (lookup_init(&l) == 0)
		rc = service_main(&lookup_program, &l, &l.service);
	lookup_free(&l);
	return rc;
}
