/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_SERVICE_H
#define LIB_CONF_SERVICE_H

#include <stdbool.h>

#include "lib/base/bug.h"

/*
 * What a table is asked for: the services of table(5).  A row each: the word
 * in smtpctl(8) and after "query_" in the configuration of a data base, what the key
 * is, and whether there is a value under it or presence is all.
 */
/* clang-format off */
#define TABLE_SERVICES(X) \
	/* id           word           key                              has a value */ \
	X(ALIAS,        "alias",       "a name of this host",           true) \
	X(VIRTUAL,      "virtual",     "an address, user or @domain",   true) \
	X(DOMAIN,       "domain",      "a domain",                      false) \
	X(AUTH,         "auth",        "a login",                       true) \
	X(CREDENTIALS,  "credentials", "the label of a relay",          true) \
	X(NETADDR,      "netaddr",     "the address of a client",       false) \
	X(USERINFO,     "userinfo",    "an account",                    true) \
	X(SOURCE,       "source",      "a relay or domain",             true) \
	X(MAILADDR,     "mailaddr",    "an address, @domain or user",   false) \
	X(MAILADDRMAP,  "mailaddrmap", "an address",                    true) \
	X(SENDERS,      "senders",     "a login",                       true) \
	X(RELAYHOST,    "relayhost",   "an address or domain",          true) \
	X(STRING,       "string",      "a word",                        false)
/* clang-format on */

#define TABLE_SERVICE_ID(id, word, key, value) SERVICE_##id,
enum table_service { TABLE_SERVICES(TABLE_SERVICE_ID) SERVICE__MAX };
#undef TABLE_SERVICE_ID

/* The word of a service, what its key is, and whether it has values. */
const char *service_word(enum table_service s);
const char *service_key(enum table_service s);
bool service_has_value(enum table_service s);
/* -1: there is none of that name. */
int service_of_word(const char *word, enum table_service *out) WARN_UNUSED;

#endif
