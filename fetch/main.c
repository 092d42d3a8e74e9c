/* SPDX-License-Identifier: ISC */
/*
 * smtpd-fetch: posts forms to the HTTPS endpoints of the configuration, for
 * the vault.  See dispatch.c.
 */
#include "fetch/fetch.h"

int
main(void)
{
	static struct fetcher f;
	int rc;

	fetcher_init(&f);
	rc = service_main(&fetch_program, &f, &f.service);
	fetcher_free(&f);
	return rc;
}
