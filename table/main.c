/* SPDX-License-Identifier: ISC */
/*
 * smtpd-table-NAME: asks another program's data base for lookup and the vault.
 * Which one, says the back end that it is linked with.  See dispatch.c.
 */
#include "table/dispatch.h"

int
main(void)
{
	static struct frame f;
	int rc;

	frame_init(&f);
	rc = service_main(&table_program, &f, &f.service);
	frame_free(&f);
	return rc;
}
