/* SPDX-License-Identifier: ISC */
#ifndef VAULT_HASHER_CHECK_H
#define VAULT_HASHER_CHECK_H

/*
 * `smtpd-hasher -c TABLE`: a SQLite table's files, for `smtpd -n`.  Descriptor 0 is
 * its small configuration, 3 the database.  Each query is prepared, none is asked.
 * Prints "error: ..." lines, and returns the exit status: 0 when there was none.
 */
int hasher_check_main(const char *table);

#endif
