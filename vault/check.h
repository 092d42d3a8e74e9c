/* SPDX-License-Identifier: ISC */
#ifndef VAULT_CHECK_H
#define VAULT_CHECK_H

/*
 * `smtpd-vault -c NAME`: what is wrong with a pki's files, for `smtpd -n`.
 * Descriptor 0 is the certificate, 3 the key, 4 the OCSP response (or empty).
 * Prints "error: ..." and "warning: ..." lines; returns the exit status, 1 when
 * there was any error.
 */
int check_main(const char *name);

#endif
