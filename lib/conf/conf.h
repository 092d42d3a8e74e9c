/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_CONF_H
#define LIB_CONF_CONF_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

/*
 * smtpd.conf(5), parsed.  The grammar is the OpenSMTPD 7 family's; what each
 * keyword means is in the manual page.
 *
 * A struct conf owns everything it points to; conf_free() ends all of it.
 * Arrays are in file order.  A string that was not given is NULL.  Names
 * (tables, pki, ca, actions) were resolved by the parser: a name that is not
 * defined is an error there, so users may look them up without a check.
 *
 * This library is pure: bytes in, values out.  Files are read by a callback.
 */
#define CONF_NAME_MAX	64	   /* octets of a table, pki, ca, action or filter name */
#define CONF_STRING_MAX 1024	   /* octets of any string */
#define CONF_REPLY_MAX	256	   /* octets of a filter's reply, code and status not counted */
#define CONF_ERRORS_MAX 50	   /* errors kept from one run */
#define CONF_TEXT_MAX	(4U << 20) /* octets of all files of one configuration together */

enum conf_table_kind {
	CONF_TABLE_LIST,
	CONF_TABLE_MAP,
	CONF_TABLE_FILE,
	CONF_TABLE_CDB,	     /* path: an indexed file, made by "smtpctl table build" */
	CONF_TABLE_SQLITE,   /* path: a small file that says which database and what to ask it */
	CONF_TABLE_POSTGRES, /* the same, of a server; see postern-tables(7) */
	CONF_TABLE_DOVECOT,  /* path: the socket of Dovecot's auth service */
	CONF_TABLE_HELPER,   /* path: the socket of a program that knows tokens */
	CONF_TABLE_ELSEWHERE /* in a role's part: named only, the contents are another role's */
};

struct conf_pair {
	char *key;
	char *value; /* NULL in a list */
};

struct conf_table {
	char *name; /* inline tables without a name are called "dynamic:N" */
	enum conf_table_kind kind;
	char *path; /* of a file, SQLite, Dovecot or helper table */
	struct conf_pair *pairs;
	size_t npairs;
};

struct conf_pki {   /* paths of files */
	char *name; /* a host name in lower case, or "*" */
	char *cert;
	char *key;  /* NULL in a role's part, but for the vault's */
	char *ocsp; /* a response in DER (RFC 6960), or NULL */
};

struct conf_ca {    /* who may sign the certificates of clients */
	char *name; /* in lower case */
	char *cert; /* path */
};

enum conf_tls { CONF_TLS_NONE, CONF_TLS_STARTTLS, CONF_TLS_REQUIRE, CONF_TLS_SMTPS };

struct conf_listener {
	bool socket;	/* "listen on socket": no address, host is that word */
	bool unix_path; /* host is the path of a Unix socket */
	char *host;	/* "127.0.0.1", "::1", an interface name, or a host name from /etc/hosts */
	uint16_t port;	/* 0: the kernel chooses (tests) */
	int family;	/* AF_UNSPEC, AF_INET, AF_INET6 */
	enum conf_tls tls;
	bool submission; /* RFC 6409 semantics; auth implies it on ports but 25; never on 25 */
	bool lmtp;	 /* RFC 2033; never on 25 */
	bool auth, auth_optional;
	/* With TLS never empty.  The first is for clients that name no host, or an unknown one. */
	char **pkis; /* names */
	size_t npkis;
	char *auth_table;	/* NULL with auth or auth_optional: the accounts of the system */
	char *tokens;		/* table of OAuth tokens */
	char *ca;		/* clients are asked for certificates by these; NULL: not asked */
	bool verify;		/* they must have one; there is a ca then */
	char *ciphers, *curves; /* NULL: those of "smtp" */
	char *protocols;	/* as that: "TLSv1.2", "TLSv1.3" or "TLSv1.2,TLSv1.3" */
	bool insecure_auth;	/* local clients may say AUTH without TLS */
	char *tag, *hostname, *senders, *filter;
	bool senders_masquerade, mask_src, no_dsn, received_auth;
	bool proxy_v2;	       /* every client sends a PROXY v2 header */
	char *proxy, *xclient; /* tables: who sends a PROXY header, v1 or v2; who may say XCLIENT */
	char *group;	       /* that may open a Unix socket; NULL: its owner alone */
};

/* -- filters -- */

enum conf_phase {
	CONF_PHASE_CONNECT,
	CONF_PHASE_HELO,
	CONF_PHASE_EHLO,
	CONF_PHASE_MAIL_FROM,
	CONF_PHASE_RCPT_TO,
	CONF_PHASE_DATA,
	CONF_PHASE_COMMIT,
	CONF_PHASE__MAX
};

enum conf_filter_test_kind {
	CONF_FILTER_FCRDNS,
	CONF_FILTER_RDNS, /* table or NULL */
	CONF_FILTER_SRC,
	CONF_FILTER_HELO,
	CONF_FILTER_AUTH, /* table or NULL */
	CONF_FILTER_MAIL_FROM,
	CONF_FILTER_RCPT_TO,
	CONF_FILTER_TEST__MAX
};

struct conf_filter_test {
	enum conf_filter_test_kind kind;
	bool negated, regex;
	char *table; /* NULL: none */
};

enum conf_decision {
	CONF_DECISION_BYPASS,
	CONF_DECISION_DISCONNECT, /* text: a reply, 4xx or 5xx */
	CONF_DECISION_JUNK,
	CONF_DECISION_REJECT,  /* text: a reply, 4xx or 5xx */
	CONF_DECISION_REWRITE, /* text: in place of the argument of HELO, EHLO, MAIL, RCPT */
	CONF_DECISION__MAX
};

struct conf_filter { /* a filter of one phase, or a chain of filters */
	char *name;  /* "chain:" and a hash of the members for those that "listen" lists in place */
	bool chain;
	char **members; /* of a chain: filters defined before it, each once and none a chain */
	size_t nmembers;
	enum conf_phase phase;
	struct conf_filter_test *tests; /* all must hold */
	size_t ntests;
	enum conf_decision decision;
	int code;	 /* of text, 0 without a reply */
	char status[12]; /* enhanced code of text, made up where it has none; "" without a reply */
	char *text;	 /* without code and status; NULL for bypass and junk */
	unsigned int line;
};

enum conf_action_kind {
	CONF_ACTION_MAILDIR,
	CONF_ACTION_MBOX,
	CONF_ACTION_MDA,
	CONF_ACTION_LMTP,
	CONF_ACTION_RELAY,
	CONF_ACTION_EXPAND_ONLY,
	CONF_ACTION_FORWARD_ONLY
};

struct conf_action {
	char *name;
	enum conf_action_kind kind;
	char *target; /* maildir pattern (NULL: ~/Maildir), mda command, lmtp destination */
	bool junk, rcpt_to;
	char *alias, *virtual, *userbase, *user, *wrapper; /* table names; user is an account */
	int64_t ttl_s;					   /* 0: the queue's */
	/* relay */
	char *
	    host; /* a URL of lib/mail/relay_url.h; NULL: host_table, domain_table, or the domain's MX */
	/* Tables.  host_table: a list of URLs, tried in order, or a mapping of senders to such lists. */
	char *host_table, *domain_table;
	char *src; /* a list of addresses, used in turn, or a mapping of senders to such lists */
	char *helo_src; /* a mapping of those addresses to names */
	char *helo, *mail_from, *auth, *pki, *ca, *backup_name;
	char *
	    fingerprint; /* "SHA256:<hex>" of the certificate or "SPKI:<hex>" of its key; several by commas */
	char *proxy; /* "socks5://address:port" (RFC 1928) */
	bool backup, tls_required, tls_no_verify;
	bool srs; /* senders of forwarded mail are rewritten; there is an srs key then */
};

enum conf_test_kind {
	CONF_TEST_FROM_ANY,
	CONF_TEST_FROM_LOCAL,
	CONF_TEST_FROM_SOCKET,
	CONF_TEST_FROM_AUTH,	  /* table or NULL */
	CONF_TEST_FROM_SRC,	  /* table of addresses and networks */
	CONF_TEST_FROM_RDNS,	  /* table or NULL */
	CONF_TEST_FROM_MAIL_FROM, /* table */
	CONF_TEST_FOR_ANY,
	CONF_TEST_FOR_LOCAL,
	CONF_TEST_FOR_DOMAIN,  /* table */
	CONF_TEST_FOR_RCPT_TO, /* table */
	CONF_TEST_AUTH,	       /* table or NULL */
	CONF_TEST_HELO,	       /* table */
	CONF_TEST_MAIL_FROM,   /* table */
	CONF_TEST_RCPT_TO,     /* table */
	CONF_TEST_TAG,	       /* table */
	CONF_TEST_TLS
};

struct conf_test {
	enum conf_test_kind kind;
	bool negated, regex;
	char *arg; /* table name */
};

struct conf_rule {
	struct conf_test *tests; /* all must hold */
	size_t ntests;
	char *action;	   /* NULL: reject */
	unsigned int line; /* in its file; for explain.  A dump keeps it. */
};

enum conf_bare_lf { CONF_BARE_LF_REFUSE, CONF_BARE_LF_NORMALIZE };
enum conf_switch { CONF_NO, CONF_YES };
/* What is done when mail to a domain would be less protected than it was. */
enum conf_remember { CONF_REMEMBER_OFF, CONF_REMEMBER_WARN, CONF_REMEMBER_ENFORCE };
/* Which addresses of a host are used, and which of them first. */
enum conf_family {
	CONF_FAMILY_PREFER_IPV6,
	CONF_FAMILY_PREFER_IPV4,
	CONF_FAMILY_ANY, /* in turn, either first */
	CONF_FAMILY_IPV6,
	CONF_FAMILY_IPV4
};

/* -- limits on what goes out: "mta limit" -- */

/* What is counted together. */
enum conf_scope {
	CONF_SCOPE_DOMAIN, /* what mail is for: the recipients' domain */
	CONF_SCOPE_RELAY,  /* an action's servers, whatever the domain: a smarthost */
	CONF_SCOPE_SOURCE, /* the address that we connect from */
	CONF_SCOPE_MX,	   /* who runs the servers: the last labels of the MX host's name */
	CONF_SCOPE_HOST,   /* one address */
	CONF_SCOPE_ROUTE,  /* a source and a host */
	CONF_SCOPE__MAX
};

#define CONF_LIMIT_UNSET (-1)

struct
    conf_limit { /* one "mta limit" statement; a later one goes before an earlier, a narrower before a wider */
	enum conf_scope of;		      /* DOMAIN, MX or SOURCE; with name NULL: everything */
	char *name;			      /* a domain, "*.domain", or an address */
	int64_t connections[CONF_SCOPE__MAX]; /* at once; UNSET where not given */
	int64_t
	    delay_ms[CONF_SCOPE__MAX]; /* from the start of one connection to that of the next */
	int64_t rate[CONF_SCOPE__MAX]; /* messages a minute */
	int64_t session_mails;	       /* messages a connection */
	int64_t session_delay_ms;      /* from one message to the next */
	int64_t session_idle_ms;       /* a connection is kept for more */
};

/* -- OAuth 2 towards other servers: "oauth LABEL" -- */

enum conf_oauth_provider { CONF_OAUTH_OTHER, CONF_OAUTH_GOOGLE, CONF_OAUTH_MICROSOFT };
enum conf_oauth_grant {
	CONF_OAUTH_DEVICE, /* RFC 8628 */
	CONF_OAUTH_CODE,   /* RFC 6749 4.1 with PKCE (RFC 7636) */
	CONF_OAUTH_CLIENT, /* client credentials, RFC 6749 4.4 */
	CONF_OAUTH_JWT	   /* a signed assertion, RFC 7523 */
};

/* Presets are filled in by the parser: only what is optional is NULL. */
struct conf_oauth {
	char *name; /* the label in a relay's URL */
	enum conf_oauth_provider provider;
	enum conf_oauth_grant grant;
	char *user;		     /* the mailbox that mail is sent as */
	char *tenant;		     /* of microsoft: which organization; or NULL */
	char *client_id;	     /* "" in roles but the vault's */
	char *client_secret, *scope; /* or NULL; the secret is the vault's alone */
	char *device_url, *auth_url; /* NULL where the grant needs none */
	char *token_url;
	char
	    *key; /* CONF_OAUTH_JWT: path of the private key (PEM); NULL but in the parent's part */
	char *key_id, *audience; /* of the assertion; or NULL */
};

/* One member a plain setting; conf/settings.h lists them with default and range. */
struct conf_values {
	char *hostname;	      /* the server's own name; NULL: the machine's */
	char *spool, *socket; /* paths: the spool directory, the admin socket */
	char *ca_file, *resolv_conf;
	char *trust_anchor; /* a file, or a DS record: see anchor_is_record() */
	char *
	    resolver_forward; /* "192.0.2.1@5353", several by commas; "none": we ask the root; NULL: resolv.conf */
	char *resolver_root;   /* addresses of root servers instead of the Internet's */
	uint64_t mta_family;   /* enum conf_family */
	char *smtp_subaddr;    /* the octets that a tag may begin with; "none": there are no tags */
	char *smtp_postmaster; /* who gets mail for postmaster and abuse where nobody else does */
	uint64_t forward_files; /* enum conf_switch: ~/.forward counts */
	int64_t table_cache_s;	/* what another program said of a table is good for so long */
	/* The vault's alone; "" in what another role gets, which so knows that there is one. */
	char *srs_key, *srs_key_old;
	int64_t srs_ttl_s;
	char *admin_group;
	int64_t queue_ttl_s, bounce_warn_s, retry_min_s, retry_max_s;
	uint64_t smtp_max_message_bytes, smtp_max_recipients, smtp_max_sessions,
	    smtp_max_sessions_per_client, smtp_max_line_bytes, smtp_max_received;
	uint64_t smtp_max_mails; /* messages a session; 0: any number */
	uint64_t smtp_max_errors;
	int64_t smtp_timeout_s, smtp_error_delay_s, smtp_greet_delay_s, smtp_max_hold_s;
	uint64_t smtp_bare_lf; /* enum conf_bare_lf */
	/* of one client (a prefix of its address) within a period; 0: no limit */
	int64_t smtp_rate_period_s;
	uint64_t smtp_connection_rate, smtp_message_rate, smtp_recipient_rate, smtp_refused_rate;
	uint64_t smtp_prefix4, smtp_prefix6; /* bits that make a client */
	char *smtp_exempt;	    /* table of networks; NULL: local clients, from the rates */
	uint64_t session_processes; /* 0: one per core */
	char *smtp_ciphers, *smtp_protocols, *smtp_curves; /* NULL: the library's secure ones */
	int64_t smtp_ticket_lifetime_s;			   /* 0: no session tickets */
	int64_t auth_failure_delay_s, auth_max_block_s;
	uint64_t auth_max_failures;  /* of a connection */
	uint64_t auth_free_failures; /* of an address or login, before it is blocked for a while */
	uint64_t auth_processes;     /* hashers; 0: one per core, 4 at most */
	uint64_t delivery_max_connections, delivery_max_per_destination;
	int64_t delivery_timeout_s;
	uint64_t mta_remember_tls; /* enum conf_remember */
	int64_t mta_remember_s;	   /* what was not seen for so long is forgotten */
	uint64_t mta_chunking;	   /* enum conf_switch: BDAT where it is offered (RFC 3030) */
	char *vault_directory,
	    *vault_key; /* what the vault keeps on disk, and the key it is sealed with */
};

struct conf {
	struct conf_values values;
	struct conf_listener *listeners;
	size_t nlisteners;
	struct conf_table *tables;
	size_t ntables;
	struct conf_pki *pkis;
	size_t npkis;
	struct conf_ca *cas;
	size_t ncas;
	struct conf_action *actions;
	size_t nactions;
	struct conf_rule *rules;
	size_t nrules;
	struct conf_filter *filters;
	size_t nfilters;
	struct conf_limit *limits; /* delivery's */
	size_t nlimits;
	struct conf_oauth
	    *oauths; /* the vault's; of fetch only the URLs, of delivery and lookup the names */
	size_t noauths;
};

/* A fault in the text: where, what, and what may have been meant. */
struct conf_error {
	char file[256];
	unsigned int line, column; /* from 1 */
	char text[256];		   /* "unknown keyword 'acton', did you mean 'action'?" */
	char source[256];	   /* the line (of a long one the part in question), printable */
	unsigned int caret;	   /* where in source the column is, from 0 */
	unsigned int order;	   /* the place in reading order, over all files */
};

struct conf_errors {
	struct conf_error *list;
	size_t n;
	size_t more; /* further errors that were not kept */
};

/* Reads one file whole into out (at most CONF_TEXT_MAX); -1 with errno. */
typedef int (*conf_reader)(void *arg, const char *path, struct buf *out);

/*
 * Parses path and all it includes.  NULL when there was any error: errors
 * then tells all of them, in order.  errors is freed by conf_errors_free()
 * in both cases.
 */
struct conf *
conf_parse(const char *path, conf_reader read, void *arg, struct conf_errors *errors) WARN_UNUSED;
struct conf *conf_parse_text(
    const char *name, const char *text, size_t len, struct conf_errors *errors) WARN_UNUSED;
void conf_free(struct conf *c);
void conf_errors_free(struct conf_errors *e);
/* file:line:column: text, the source line, and a caret under the column; 3 lines. */
void conf_error_print(const struct conf_error *e, struct buf *out);

/*
 * The effective configuration as smtpd.conf text that parses to the same
 * values: what smtpd -n -v shows, and how a role gets its part.  Only what
 * any role of the mask needs is written (see settings.h); secrets never go
 * to a role that has no business with them.
 */
#define CONF_FOR_PARENT	  0x01U
#define CONF_FOR_SESSION  0x02U
#define CONF_FOR_QUEUE	  0x04U
#define CONF_FOR_LOOKUP	  0x08U
#define CONF_FOR_DELIVERY 0x10U
#define CONF_FOR_CONTROL  0x20U
#define CONF_FOR_VAULT	  0x40U
#define CONF_FOR_HASHER	  0x80U
#define CONF_FOR_TABLE	  0x100U
#define CONF_FOR_FETCH	  0x200U
#define CONF_FOR_ALL	  0x3ffU
int conf_dump(const struct conf *c, unsigned int roles, struct buf *out) WARN_UNUSED;

const struct conf_table *conf_table_find(const struct conf *c, const char *name);
const struct conf_action *conf_action_find(const struct conf *c, const char *name);
const struct conf_filter *conf_filter_find(const struct conf *c, const char *name);
const struct conf_oauth *conf_oauth_find(const struct conf *c, const char *name);
/* Whether the filter, or any member of the chain, acts at a phase. */
bool conf_filter_acts(const struct conf *c, const struct conf_filter *f, enum conf_phase phase);
/* "connect", "mail-from"... */
const char *conf_phase_name(enum conf_phase phase);
const struct conf_pki *conf_pki_find(const struct conf *c, const char *name);
const struct conf_ca *conf_ca_find(const struct conf *c, const char *name);
/* Named where passwords, tokens or relay credentials are asked for: the vault alone has it. */
bool conf_table_is_secret(const struct conf *c, const char *name);
/* Of CONF_FOR_*: who knows what is in a table, or where that is.  Others are told "elsewhere". */
unsigned int conf_table_roles(const struct conf *c, const struct conf_table *t);
/* What the configuration asks a table for: 1U << SERVICE_..., of service.h; 0: it is not used. */
unsigned int conf_table_services(const struct conf *c, const char *name);
/* Is it asked by "regex"? */
bool conf_table_has_patterns(const struct conf *c, const char *name);

#endif
