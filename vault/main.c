/* SPDX-License-Identifier: ISC */
/*
 * smtpd-vault: private keys, passwords, tokens, the keys of session tickets.
 * It is asked to sign, and whether a client is who it says; and it logs in at other
 * servers, by what it has delivery say.  No other secret leaves it, but for hashes and
 * passwords to smtpd-hasher, consents that it sealed to the parent, and the questions
 * of OAuth to smtpd-fetch.  See dispatch.c.
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
