/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_CHECK_URL_H
#define LIB_CONF_CHECK_URL_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/* Whether a text is one of the things that smtpd.conf takes where other servers are named. */
bool check_ip(const char *s);  /* an address, without brackets */
bool check_ips(const char *s); /* several, by commas */
/* [scheme://][label@]host[:port] with a scheme of smtp, smtp+tls, smtp+notls, smtps, lmtp, lmtp+tls */
bool check_relay_url(const char *s);
bool check_relay_urls(const char *s); /* several, by commas */
bool check_relay_label(const char *s);
/* The name of an "oauth", and of a file: letters, digits and ._@+-, the first none of these. */
bool check_oauth_label(const char *s);
bool check_lmtp(const char *s);		/* the path of a socket, or host:port */
bool check_proxy(const char *s);	/* socks5://address:port */
bool check_fingerprints(const char *s); /* SHA256:<64 hex> or SPKI:<64 hex>; several by commas */
bool check_https(const char *s);	/* https://host[:port]/... */

/* Of a URL that passed check_relay_url(): TLS is forbidden there; its label (false: it has none). */
bool relay_url_is_clear(const char *url);
bool relay_url_label(const char *url, char label[CONF_NAME_MAX + 1]) WARN_UNUSED;

/* The next of what commas separate, blanks around it left out; *list is NULL after the last. */
bool text_next(const char **list, char item[CONF_STRING_MAX + 1]) WARN_UNUSED;

#endif
