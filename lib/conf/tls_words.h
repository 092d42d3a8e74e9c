/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_TLS_WORDS_H
#define LIB_CONF_TLS_WORDS_H

#include <stdbool.h>

/*
 * What smtpd.conf says of TLS, as far as it can be judged without a TLS
 * library.  Whether that knows a cipher is for who builds with it to find out.
 */
#define CIPHERS_TEXT   "a list of ciphers"
#define PROTOCOLS_TEXT "a list of TLSv1.2 and TLSv1.3"
#define CURVES_TEXT    "a list of curves such as X25519:P-256"

bool check_ciphers(const char *s); /* in the characters of openssl-ciphers(1) */
/*
 * Versions separated by commas or colons, in either case; "secure", "default"
 * and "all" are both.
 */
bool check_protocols(const char *s);
/* Those that RFC 8422 section 5.1.1 left, by the names that OpenSSL has for them, with colons. */
bool check_curves(const char *s);

/* The versions in one form: "TLSv1.2", "TLSv1.3" or "TLSv1.2,TLSv1.3"; NULL: not a list of them. */
const char *protocols_canonical(const char *s);

#endif
