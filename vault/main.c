/* SPDX-License-Identifier: ISC */
/*
 * smtpd-vault: private keys, passwords, tokens, the keys of session tickets.
 * It is asked to sign, and whether a client is who it says; no secret
 * leaves it, but for a hash to smtpd-hasher.  See dispatch.c.
 *
 * With -c NAME it looks at the files of one pki for `smtpd -n`, see check.h.
 */
#include <string.h>

#include "vault/check.h"
#include "vault/vault.h"

int
main(int argc, char *argv[])
{
	static struct vault v;
	int rc = 1;

	if (argc == 3 && strcmp(argv[1], "-c") == 0)
		return check_main();
	if (vault_init(&v) == 0)
		rc = service_main(&vault_program, &v, &v.service);
	vault_free(&v);
	return rc;
}
