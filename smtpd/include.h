/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_INCLUDE_H
#define SMTPD_INCLUDE_H

struct child;

/*
 * The files that a table's file names by ":include:", and those that they name:
 * opened with the rights of lookup's account and sent to it as `include`, one by
 * one.  fd is the table's file, which stays the caller's, and its offset where it is.
 */
void include_open(struct child *lookup, const char *table, int fd);

#endif
