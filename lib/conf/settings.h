/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_SETTINGS_H
#define LIB_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/*
 * The plain settings of smtpd.conf, one row each: statement (group and name;
 * a name of "" is a statement of one word), member of struct conf_values,
 * type, default as it would be written (NULL: none), range, and the roles
 * that get it besides the parent.  Parser, defaults and dump are made from
 * this table; a test holds the manual page to it.  A name may have a second
 * word, when there is a setting of the first alone.
 *
 * The text of a SECRET goes into what the vault alone gets; whoever else has a
 * role of its row is told "elsewhere", which is "" in struct conf_values.
 *
 * Ranges: durations in seconds, sizes in octets, of a choice the numbers of
 * its words; strings have none.
 */
#define SETTING_ALL  (CONF_FOR_SESSION | CONF_FOR_QUEUE | CONF_FOR_LOOKUP | CONF_FOR_DELIVERY)
#define SETTING_DAY  86400
#define SETTING_RATE 1000000000

/* clang-format off */
#define CONF_SETTINGS(X) \
	X("hostname", "", hostname, HOSTNAME, NULL, 0, 0, SETTING_ALL) \
	X("queue", "directory", spool, PATH, "/var/spool/postern", 0, 0, CONF_FOR_QUEUE) \
	X("queue", "ttl", queue_ttl_s, DURATION, "4d", 1, 365 * SETTING_DAY, CONF_FOR_QUEUE) \
	X("queue", "retry-min", retry_min_s, DURATION, "5m", 1, SETTING_DAY, CONF_FOR_QUEUE | CONF_FOR_DELIVERY) \
	X("queue", "retry-max", retry_max_s, DURATION, "4h", 1, 7 * SETTING_DAY, \
	    CONF_FOR_QUEUE | CONF_FOR_DELIVERY) \
	X("bounce", "warn-interval", bounce_warn_s, DURATION, "4h", 1, 365 * SETTING_DAY, \
	    CONF_FOR_QUEUE) \
	X("smtp", "max-message-size", smtp_max_message_bytes, BYTES, "35M", 1024, 1ULL << 40, \
	    CONF_FOR_SESSION | CONF_FOR_QUEUE | CONF_FOR_LOOKUP) \
	X("smtp", "max-recipients", smtp_max_recipients, COUNT, "1000", 1, 100000, \
	    CONF_FOR_SESSION | CONF_FOR_QUEUE | CONF_FOR_LOOKUP) \
	X("smtp", "max-mails", smtp_max_mails, COUNT, "0", 0, 999999, CONF_FOR_SESSION) \
	X("smtp", "max-sessions", smtp_max_sessions, COUNT, "1000", 1, 100000, \
	    CONF_FOR_SESSION | CONF_FOR_LOOKUP) \
	X("smtp", "max-sessions-per-client", smtp_max_sessions_per_client, COUNT, "100", 1, 100000, \
	    CONF_FOR_LOOKUP) \
	X("smtp", "max-connection-rate", smtp_connection_rate, COUNT, "600", 0, SETTING_RATE, \
	    CONF_FOR_LOOKUP) \
	X("smtp", "max-message-rate", smtp_message_rate, COUNT, "1000", 0, SETTING_RATE, \
	    CONF_FOR_LOOKUP) \
	X("smtp", "max-recipient-rate", smtp_recipient_rate, COUNT, "10000", 0, SETTING_RATE, \
	    CONF_FOR_LOOKUP) \
	X("smtp", "max-refused-rate", smtp_refused_rate, COUNT, "200", 0, SETTING_RATE, \
	    CONF_FOR_LOOKUP) \
	X("smtp", "rate-period", smtp_rate_period_s, DURATION, "1m", 1, SETTING_DAY, CONF_FOR_LOOKUP) \
	X("smtp", "client-prefix4", smtp_prefix4, COUNT, "32", 8, 32, CONF_FOR_LOOKUP | CONF_FOR_VAULT) \
	X("smtp", "client-prefix6", smtp_prefix6, COUNT, "64", 16, 128, \
	    CONF_FOR_LOOKUP | CONF_FOR_VAULT) \
	X("smtp", "exempt-clients", smtp_exempt, TABLE, NULL, 0, 0, CONF_FOR_LOOKUP) \
	X("smtp", "max-errors", smtp_max_errors, COUNT, "20", 1, 1000, CONF_FOR_SESSION) \
	X("smtp", "error-delay", smtp_error_delay_s, DURATION, "1s", 0, 60, CONF_FOR_SESSION) \
	X("smtp", "greet-delay", smtp_greet_delay_s, DURATION, "0s", 0, 60, CONF_FOR_SESSION) \
	X("smtp", "bare-lf", smtp_bare_lf, CHOICE, "refuse", CONF_BARE_LF_REFUSE, \
	    CONF_BARE_LF_NORMALIZE, CONF_FOR_SESSION) \
	X("smtp", "max-future-release", smtp_max_hold_s, DURATION, "30d", 1, 365 * SETTING_DAY, \
	    CONF_FOR_SESSION) \
	X("smtp", "max-line-size", smtp_max_line_bytes, BYTES, "64K", 1000, 1ULL << 20, \
	    CONF_FOR_SESSION) \
	X("smtp", "max-received", smtp_max_received, COUNT, "100", 1, 1000, CONF_FOR_SESSION) \
	X("smtp", "timeout", smtp_timeout_s, DURATION, "5m", 1, SETTING_DAY, CONF_FOR_SESSION) \
	X("smtp", "ciphers", smtp_ciphers, CIPHERS, NULL, 0, 0, CONF_FOR_SESSION) \
	X("smtp", "protocols", smtp_protocols, PROTOCOLS, NULL, 0, 0, CONF_FOR_SESSION) \
	X("smtp", "curves", smtp_curves, CURVES, NULL, 0, 0, CONF_FOR_SESSION) \
	X("smtp", "ticket-lifetime", smtp_ticket_lifetime_s, DURATION, "2h", 0, SETTING_DAY, \
	    CONF_FOR_SESSION | CONF_FOR_VAULT) \
	X("auth", "failure-delay", auth_failure_delay_s, DURATION, "5s", 0, 60, CONF_FOR_SESSION) \
	X("auth", "max-failures", auth_max_failures, COUNT, "3", 1, 100, CONF_FOR_SESSION) \
	X("auth", "free-failures", auth_free_failures, COUNT, "10", 1, 1000000, CONF_FOR_VAULT) \
	X("auth", "max-block", auth_max_block_s, DURATION, "15m", 1, SETTING_DAY, CONF_FOR_VAULT) \
	X("auth", "processes", auth_processes, COUNT, "0", 0, 16, CONF_FOR_VAULT) \
	X("smtp", "processes", session_processes, COUNT, "0", 0, 64, CONF_FOR_SESSION) \
	X("mta", "max-connections", delivery_max_connections, COUNT, "500", 1, 10000, \
	    CONF_FOR_DELIVERY) \
	X("mta", "max-connections-per-destination", delivery_max_per_destination, COUNT, "10", 1, \
	    10000, CONF_FOR_DELIVERY) \
	X("mta", "timeout", delivery_timeout_s, DURATION, "5m", 1, SETTING_DAY, CONF_FOR_DELIVERY) \
	X("mta", "remember-tls", mta_remember_tls, CHOICE, "warn", CONF_REMEMBER_OFF, \
	    CONF_REMEMBER_ENFORCE, CONF_FOR_QUEUE | CONF_FOR_DELIVERY) \
	X("mta", "remember-tls-for", mta_remember_s, DURATION, "90d", 1, 3650 * (uint64_t)SETTING_DAY, \
	    CONF_FOR_QUEUE) \
	X("mta", "chunking", mta_chunking, CHOICE, "yes", CONF_NO, CONF_YES, CONF_FOR_DELIVERY) \
	X("vault", "directory", vault_directory, PATH, "/var/lib/postern/vault", 0, 0, 0) \
	X("vault", "key", vault_key, PATH, "/etc/postern/vault.key", 0, 0, 0) \
	X("control", "socket", socket, PATH, "/run/postern/smtpd.sock", 0, 0, CONF_FOR_CONTROL) \
	X("control", "group", admin_group, ACCOUNT, NULL, 0, 0, CONF_FOR_CONTROL) \
	X("trust", "ca", ca_file, PATH, "/etc/ssl/certs/ca-certificates.crt", 0, 0, \
	    CONF_FOR_DELIVERY) \
	X("trust", "anchor", trust_anchor, ANCHOR, "/usr/share/dns/root.key", 0, 0, CONF_FOR_LOOKUP) \
	X("resolver", "config", resolv_conf, PATH, "/etc/resolv.conf", 0, 0, CONF_FOR_LOOKUP) \
	X("resolver", "forward", resolver_forward, SERVERS_NONE, NULL, 0, 0, CONF_FOR_LOOKUP) \
	X("resolver", "root", resolver_root, SERVERS, NULL, 0, 0, CONF_FOR_LOOKUP) \
	X("mta", "address-family", mta_family, CHOICE, "prefer-ipv6", CONF_FAMILY_PREFER_IPV6, \
	    CONF_FAMILY_IPV4, CONF_FOR_LOOKUP) \
	X("smtp", "sub-addr-delim", smtp_subaddr, DELIMITERS, "+", 0, 0, \
	    CONF_FOR_LOOKUP | CONF_FOR_DELIVERY) \
	X("smtp", "postmaster", smtp_postmaster, RECIPIENT, "root", 0, 0, CONF_FOR_LOOKUP) \
	X("smtp", "forward-files", forward_files, CHOICE, "yes", CONF_NO, CONF_YES, CONF_FOR_LOOKUP) \
	X("lookup", "cache-time", table_cache_s, DURATION, "5s", 0, SETTING_DAY, CONF_FOR_LOOKUP) \
	X("srs", "key", srs_key, SECRET, NULL, 0, 0, \
	    CONF_FOR_VAULT | CONF_FOR_LOOKUP | CONF_FOR_DELIVERY) \
	X("srs", "key backup", srs_key_old, SECRET, NULL, 0, 0, CONF_FOR_VAULT) \
	X("srs", "ttl", srs_ttl_s, DURATION, "4d", SETTING_DAY, 365 * SETTING_DAY, CONF_FOR_VAULT)
/* clang-format on */

enum setting_type {
	SETTING_COUNT,
	SETTING_BYTES,
	SETTING_DURATION,
	SETTING_CHOICE, /* one of some words, as its number */
	/* the strings */
	SETTING_PATH,
	SETTING_HOSTNAME,
	SETTING_ACCOUNT,
	SETTING_SERVERS,      /* addresses, each with an optional @port */
	SETTING_SERVERS_NONE, /* the same, or "none" */
	SETTING_ANCHOR,	      /* a path or a DS record; see anchor.h */
	SETTING_DELIMITERS,   /* octets that begin a tag, each once; or "none" */
	SETTING_RECIPIENT,    /* an account or address */
	SETTING_SECRET,	      /* any text */
	SETTING_TABLE,	      /* a list's name */
	SETTING_CIPHERS,      /* for TLS 1.2, in the words of OpenSSL's ciphers(1) */
	SETTING_PROTOCOLS,    /* "TLSv1.2,TLSv1.3"; nothing older is offered */
	SETTING_CURVES	      /* "X25519:P-256:P-384" */
};

#define SETTING_ID(group, name, member, type, fallback, min, max, roles) SETTING_##member,
enum setting_id { CONF_SETTINGS(SETTING_ID) SETTING__MAX };
#undef SETTING_ID

struct setting {
	const char *group, *name;
	size_t offset; /* in struct conf_values */
	enum setting_type type;
	const char *fallback;
	uint64_t min, max;
	unsigned int roles;
};

extern const struct setting conf_settings[SETTING__MAX];

/* Gives every setting its default. -1: ENOMEM. */
int settings_init(struct conf_values *v) WARN_UNUSED;
void settings_free(struct conf_values *v);
/*
 * Sets one from its text.  -1 with errno EINVAL (not of the type), ERANGE
 * (out of the range) or ENOMEM, and the old value as it was.
 */
int setting_set(struct conf_values *v, const struct setting *s, const char *text) WARN_UNUSED;
bool setting_is_string(const struct setting *s);
/* What such a setting takes, for an error: "a duration such as 5m, from 1s to 1d". */
#define SETTING_DESCRIPTION_MAX 128
void setting_describe(const struct setting *s, char *dst, size_t size);
/* What is wrong with a text that setting_set() refused, for an error. */
void setting_fault(const struct setting *s, const char *text, char *dst, size_t size);
/* The value as text, unquoted, NULL when it has none; in dst, or what the values own. */
#define SETTING_TEXT_MAX (CONF_STRING_MAX + 1)
const char *setting_text(const struct conf_values *v, const struct setting *s, char *dst);

#endif
