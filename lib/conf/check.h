/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_CHECK_H
#define LIB_CONF_CHECK_H

#include <stdbool.h>

/* Whether a text is one of the things that smtpd.conf takes. */
bool check_hostname(const char *s);    /* RFC 5321 section 4.1.2 Domain or address literal */
bool check_path(const char *s);	       /* absolute, and no longer than a path may be */
bool check_account(const char *s);     /* a user's or group's name */
bool check_name(const char *s);	       /* a table, action, filter or pki name */
bool check_address(const char *s);     /* user@domain, without quotes and brackets */
bool check_reply_text(const char *s);  /* printable ASCII, no longer than a filter's reply may be */
bool check_socket_path(const char *s); /* a path that a Unix socket can have */
bool check_servers(const char *s);     /* "192.0.2.1@5353,2001:db8::1" */
bool check_servers_none(const char *s);
bool check_recipient(const char *s); /* user or user@domain */
bool check_secret(const char *s);    /* printable, no longer than a string may be */
/* Of what a local part has besides letters and digits, each at most once; or "none". */
bool check_delimiters(const char *s);
bool check_loopback(const char *s); /* what only local clients can reach: 127.*, ::1, lo */

#endif
