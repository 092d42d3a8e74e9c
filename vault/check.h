/* SPDX-License-Identifier: ISC */
#ifndef VAULT_CHECK_H
#define VAULT_CHECK_H

/*
 * `smtpd-vault -c NAME`: what is wrong with a pki's files, for `smtpd -n` and
 * before a reload.  Descriptor 0 is the certificate, 3 the key, 4 the OCSP
 * response (or empty).  Prints "error: ..." and "warning: ..." lines, and
 * returns the exit status: 0 when there was no error.
 */
#define CHECK_ERRORS 1 /* it would be used all the same: expired, open to everybody */
#define CHECK_BROKEN 2 /* it can't be used: no match, not PEM, a kind that nobody takes */

int check_main(void);

#endif
