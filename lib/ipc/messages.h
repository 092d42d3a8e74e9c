/* SPDX-License-Identifier: ISC */
#ifndef LIB_IPC_MESSAGES_H
#define LIB_IPC_MESSAGES_H

/*
 * Every message that one Postern process may send to another, declared once.
 * The enum, the structs, the encoder and decoder (message.c), the permission
 * table, the links that the parent makes and postern-messages(7) are derived
 * from these rows; there is nothing else to keep in step.
 *
 *   M(name, FD or NOFD, "what it is for", routes, fields)
 *   R(FROM, TO)             a pair of roles that may use it, in that direction
 *   F(KIND, field, BOUND)   a field; BOUND is inclusive and checked on both sides
 *
 * KIND   C type          BOUND
 * U8 U16 U32 U64         largest value
 * I64    int64_t         largest value; the smallest is its negative
 * BOOL   bool            1
 * STR    const char *    octets without the NUL; inner NULs are refused
 * BYTES  struct span     octets
 *
 * Every message carries a request id besides ("req"): an answer echoes it.
 * A decoded message borrows its strings and bytes from the frame: they are
 * gone when the handler returns.
 */
#include "lib/base/buf.h"

/* clang-format off */

/*        role      word in logs, the program */
#define ROLES(X)                                                                                   \
	X(PARENT, "parent", "smtpd")                                                               \
	X(SESSION, "session", "smtpd-session")                                                     \
	X(QUEUE, "queue", "smtpd-queue")                                                           \
	X(LOOKUP, "lookup", "smtpd-lookup")                                                        \
	X(DELIVERY, "delivery", "smtpd-delivery")                                                  \
	X(CONTROL, "control", "smtpd-control")                                                     \
	X(VAULT, "vault", "smtpd-vault")                                                           \
	X(HASHER, "hasher", "smtpd-hasher")                                                        \
	X(TABLE, "table", "smtpd-table")                                                           \
	X(FETCH, "fetch", "smtpd-fetch")                                                           \
	X(AGENT, "agent", "smtpd-agent")                                                           \
	X(ADMIN, "admin", "smtpctl")

#define ROLE_ENUM(role, word, program) ROLE_##role,
enum role { ROLES(ROLE_ENUM) ROLE__MAX };
#undef ROLE_ENUM

#define IPC_INSTANCES_MAX 64  /* processes of one role, at most */
#define IPC_CHUNK_MAX 32768   /* octets of a message body in one frame */
#define IPC_TRACE_MAX 16384   /* octets of trace headers */
#define IPC_ADDRESS_MAX 512   /* octets of an address */
#define IPC_NAME_MAX 256      /* octets of a host, file or other name */
#define IPC_WORD_MAX 64	      /* octets of an action, tag or account */
#define IPC_PATH_MAX 1024     /* octets of a path */
#define IPC_TEXT_MAX 1024     /* octets of an answer's text */
#define IPC_STATUS_MAX 12     /* octets of an enhanced status code */
#define IPC_VALUE_MAX 8192    /* octets of one row of a table */
#define IPC_TLSA_MAX 1024     /* octets of the data of a TLSA record */
#define IPC_SASL_MAX 9216     /* octets of a SASL message: a line of RFC 4954 4, decoded */
#define IPC_PASSWORD_MAX 1024 /* octets of a password */
#define IPC_SECRET_MAX 1024   /* octets of what a table keeps for a login */
#define IPC_SIGN_MAX 1024     /* octets of a text to be signed, or of a signature */
#define IPC_EXPORTER_SIZE 32   /* octets of a tls-exporter (RFC 9266 4.2) */
#define IPC_TICKET_KEY_SIZE 48 /* octets of a key for session tickets */
#define IPC_URL_MAX 2048       /* octets of a URL */
#define IPC_FETCH_MAX 16384    /* octets of what is posted, or of an answer to it */
#define IPC_SEALED_MAX 16384   /* octets of what the vault keeps on disk under one name */
#define IPC_ID_MAX 0x7fffffffffULL
#define IPC_ANY64 UINT64_MAX
#define IPC_ANY32 UINT32_MAX

/* The outcome of anything that was asked for; RETRY is for passing trouble. */
enum ipc_outcome { IPC_OK, IPC_RETRY, IPC_FAIL, IPC_FULL, IPC_GONE, IPC_DENIED, IPC_OUTCOME__MAX };

/* Flags of a message, in `mail_begin`, `job` and `list_message`. */
#define IPC_FLAG_HELD 0x01U	     /* paused by an admin */
#define IPC_FLAG_8BITMIME 0x02U	     /* BODY=8BITMIME was declared (RFC 6152) */
#define IPC_FLAG_SMTPUTF8 0x04U	     /* SMTPUTF8 was declared (RFC 6531) */
#define IPC_FLAG_REPORT 0x08U	     /* a DSN of our own */
#define IPC_FLAG_AUTHENTICATED 0x10U /* from an authenticated client */
#define IPC_FLAG_WARNED 0x20U	     /* its delay warning was sent */
#define IPC_FLAG_BINARYMIME 0x40U    /* BODY=BINARYMIME was declared (RFC 3030) */
#define IPC_FLAG_REQUIRETLS 0x80U    /* REQUIRETLS was declared (RFC 8689) */
#define IPC_FLAGS_MAX 0xffffU

/* NOTIFY of a recipient (RFC 3461 4.1), in `mail_rcpt`, `job_rcpt` and `list_rcpt`; 0: not given. */
enum ipc_notify {
	IPC_NOTIFY_NEVER = 1,
	IPC_NOTIFY_SUCCESS = 2,
	IPC_NOTIFY_FAILURE = 4,
	IPC_NOTIFY_DELAY = 8
};

/* What a sender wants when DELIVERBY's time has passed (RFC 2852 4.1). */
enum ipc_by { IPC_BY_NONE, IPC_BY_RETURN, IPC_BY_NOTIFY, IPC_BY__MAX };

/* What DNS says of a client's address; CONFIRMED: the name has that address too (FCrDNS). */
enum ipc_rdns { IPC_RDNS_UNASKED, IPC_RDNS_NONE, IPC_RDNS_TROUBLE, IPC_RDNS_NAMED, IPC_RDNS_CONFIRMED, IPC_RDNS__MAX };

/* What a descriptor in `file` is. */
enum ipc_file { IPC_FILE_TABLE, IPC_FILE_CA, IPC_FILE_ANCHOR, IPC_FILE_RESOLV, IPC_FILE__MAX };

/* What a `file_data` is a piece of; its name is that of the pki, ca, table or oauth. */
enum ipc_data {
	IPC_DATA_CERT,
	IPC_DATA_KEY,
	IPC_DATA_OCSP,
	IPC_DATA_CA,
	IPC_DATA_TABLE,
	IPC_DATA_SEAL_KEY,  /* what the vault seals with; no name */
	IPC_DATA_SEALED,    /* what it sealed once, by name */
	IPC_DATA_OAUTH_KEY, /* the private key of an "oauth" with a grant of jwt */
	IPC_DATA__MAX
};

/* What is signed, and how: the signature schemes of TLS that the vault knows (RFC 8446 4.2.3). */
enum ipc_scheme {
	IPC_SIGN_ECDSA,
	IPC_SIGN_RSA_PKCS1, /* TLS 1.2 alone */
	IPC_SIGN_RSA_PSS,
	IPC_SIGN__MAX
};
enum ipc_digest { IPC_SHA256, IPC_SHA384, IPC_SHA512, IPC_DIGEST__MAX };

/* How an AUTH ended (RFC 4954 6). */
enum ipc_auth {
	IPC_AUTH_OK,
	IPC_AUTH_REFUSED,   /* 535 5.7.8; whatever was wrong with login or password */
	IPC_AUTH_MALFORMED, /* 501 5.5.2; not a message of this mechanism */
	IPC_AUTH_BLOCKED,   /* 454 4.7.0; too many failures of this address or login */
	IPC_AUTH_TROUBLE,   /* 454 4.7.0; a back end is down, or too much is under way */
	IPC_AUTH_UNKNOWN,   /* 504 5.5.4; no such mechanism here */
	IPC_AUTH__MAX
};

/* How well the way to another server was protected: the more, the better. */
enum ipc_tls_level {
	IPC_TLS_PLAIN,
	IPC_TLS_ENCRYPTED, /* with whoever was there */
	IPC_TLS_VERIFIED,  /* a certificate by a trusted authority, for a name of the host */
	IPC_TLS_DANE,	   /* as the domain's signed TLSA records say (RFC 7672) */
	IPC_TLS_LEVEL__MAX
};

/* How an OAuth login goes on (RFC 8628, RFC 6749 4.1). */
enum ipc_oauth { IPC_OAUTH_DEVICE, IPC_OAUTH_BROWSER, IPC_OAUTH_NONE, IPC_OAUTH__MAX };

enum ipc_change { IPC_SCHEDULE, IPC_REMOVE, IPC_HOLD, IPC_RELEASE, IPC_CHANGE__MAX };
enum ipc_pause { IPC_PAUSE_SMTP, IPC_PAUSE_DELIVERY, IPC_PAUSE__MAX };

#define R_PARENT_TO_ALL(R)                                                                         \
	R(PARENT, SESSION)                                                                         \
	R(PARENT, QUEUE) R(PARENT, LOOKUP) R(PARENT, DELIVERY) R(PARENT, CONTROL) R(PARENT, AGENT) \
	R(PARENT, VAULT) R(PARENT, HASHER) R(PARENT, TABLE) R(PARENT, FETCH)
#define R_ALL_TO_PARENT(R)                                                                         \
	R(SESSION, PARENT)                                                                         \
	R(QUEUE, PARENT) R(LOOKUP, PARENT) R(DELIVERY, PARENT) R(CONTROL, PARENT) R(AGENT, PARENT) \
	R(VAULT, PARENT) R(HASHER, PARENT) R(TABLE, PARENT) R(FETCH, PARENT)

/* -- life of a process -- */
#define MESSAGES_LIFE(M, F, R)                                                                     \
	M(enter, NOFD, "the rights of this process, from the role table", R_PARENT_TO_ALL(R),      \
	    F(U8, role, ROLE__MAX - 1) F(U32, instance, IPC_INSTANCES_MAX - 1)                     \
		F(U32, rights, IPC_ANY32) F(BOOL, privileged, 1) F(U32, uid, IPC_ANY32)            \
		    F(U32, gid, IPC_ANY32) F(STR, root, IPC_PATH_MAX)                              \
			F(U64, descriptors, IPC_ANY64) F(U64, address_space, IPC_ANY64)            \
			    F(U64, file_bytes, IPC_ANY64) F(U64, processes, IPC_ANY64)             \
				F(BYTES, connect_ports, 128) F(U8, landlock_floor, 255)            \
				    F(BOOL, verbose, 1) F(U32, siblings, IPC_INSTANCES_MAX))                                           \
	M(conf_text, NOFD, "a piece of this role's part of smtpd.conf", R_PARENT_TO_ALL(R),        \
	    F(BYTES, text, IPC_CHUNK_MAX))                                                         \
	M(conf_end, NOFD, "the configuration is whole: use it", R_PARENT_TO_ALL(R),                \
	    F(U32, generation, IPC_ANY32))                                                         \
	M(file, FD, "a file opened for this role", R_PARENT_TO_ALL(R),                             \
	    F(U8, kind, IPC_FILE__MAX - 1) F(STR, name, IPC_NAME_MAX))                             \
	M(lock, NOFD, "enter the sandbox now", R_PARENT_TO_ALL(R), )                               \
	M(entered, NOFD, "what the kernel granted", R_ALL_TO_PARENT(R),                            \
	    F(U8, landlock_abi, 255) F(BOOL, landlock_denies, 1) F(BOOL, privileges_gone, 1)       \
		F(U32, nsyscalls, 1024) F(STR, lost, IPC_NAME_MAX))                                \
	M(seccomp_listener, FD, "tells the parent of forbidden system calls", R_ALL_TO_PARENT(R), )  \
	M(link, FD, "one end of a channel to another role", R_PARENT_TO_ALL(R),                    \
	    F(U8, role, ROLE__MAX - 1) F(U32, instance, IPC_INSTANCES_MAX - 1))                    \
	M(relink, NOFD, "I cut this peer off: a fresh link, please", R_ALL_TO_PARENT(R), \
	    F(U8, role, ROLE__MAX - 1) F(U32, instance, IPC_INSTANCES_MAX - 1)) \
	M(drain, NOFD, "take on nothing new, end what is under way, then exit",                    \
	    R_PARENT_TO_ALL(R), F(U32, deadline_ms, 3600000))                                      \
	M(log, NOFD, "a log line", R_ALL_TO_PARENT(R), F(U8, level, 3) F(STR, line, 2048))         \
	M(listen, FD, "a listening socket", R(PARENT, SESSION) R(PARENT, CONTROL),                 \
	    F(U32, index, 1024))                                                                   \
	M(listen_clear, NOFD, "close every listening socket", R(PARENT, SESSION), )                \
	M(pause, NOFD, "stop or go on", R(ADMIN, CONTROL) R(CONTROL, PARENT) R(PARENT, SESSION)    \
		R(PARENT, QUEUE),                                                                  \
	    F(U8, what, IPC_PAUSE__MAX - 1) F(BOOL, on, 1))

/* -- session: may this client stay, and go on -- */
#define MESSAGES_CLIENT(M, F, R)                                                                   \
	M(client_enter, NOFD,                                                                      \
	    "a client has come: count it, and say whether it may stay (again: count it, no answer)", \
	    R(SESSION, LOOKUP),                                                                    \
	    F(U32, visit, IPC_ANY32) F(STR, client, IPC_WORD_MAX) F(BOOL, local, 1)                \
		F(STR, filter, IPC_WORD_MAX) F(STR, proxy, IPC_WORD_MAX)                           \
		    F(STR, xclient, IPC_WORD_MAX) F(BOOL, again, 1))                               \
	M(client_verdict, NOFD, "code 0: it may stay; else the last reply to give",                \
	    R(LOOKUP, SESSION),                                                                    \
	    F(U16, code, 599) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_NAME_MAX)            \
		F(BOOL, proxied, 1) F(BOOL, xclient, 1) F(U8, rdns, IPC_RDNS__MAX - 1)             \
		    F(STR, name, IPC_NAME_MAX) F(BOOL, junk, 1) F(BOOL, bypass, 1))                \
	M(client_leave, NOFD, "a visit is over", R(SESSION, LOOKUP), F(U32, visit, IPC_ANY32))     \
	M(filter_check, NOFD,                                                                      \
	    "what do the filters say at this phase; with owned: may this login send as this sender", \
	    R(SESSION, LOOKUP),                                                                    \
	    F(U8, phase, 15) F(STR, filter, IPC_WORD_MAX) F(BOOL, owned, 1)                        \
		F(STR, senders, IPC_WORD_MAX) F(STR, client, IPC_WORD_MAX)                         \
		F(U8, rdns, IPC_RDNS__MAX - 1) F(STR, name, IPC_NAME_MAX)                          \
		    F(STR, helo, IPC_NAME_MAX) F(STR, auth, IPC_ADDRESS_MAX)                       \
			F(STR, sender, IPC_ADDRESS_MAX) F(STR, rcpt, IPC_ADDRESS_MAX))             \
	M(filter_verdict, NOFD, "code 0: go on, with value in place of the argument if there is one", \
	    R(LOOKUP, SESSION),                                                                    \
	    F(U16, code, 599) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_NAME_MAX)            \
		F(BOOL, disconnect, 1) F(BOOL, junk, 1) F(BOOL, bypass, 1)                         \
		    F(STR, value, IPC_ADDRESS_MAX) F(STR, filter, IPC_WORD_MAX))

/* -- the vault: signatures and logins -- */
#define MESSAGES_VAULT(M, F, R)                                                                    \
	M(file_data, NOFD, "a piece of a file that was read for this role; last: it is whole",     \
	    R(PARENT, SESSION) R(PARENT, VAULT),                                                   \
	    F(U8, kind, IPC_DATA__MAX - 1) F(STR, name, IPC_NAME_MAX) F(BOOL, last, 1)             \
		F(BYTES, data, IPC_CHUNK_MAX))                                                     \
	M(sign_link, FD, "one end of a channel for signatures alone", R(PARENT, SESSION)           \
		R(PARENT, VAULT),                                                                  \
	    F(U32, instance, IPC_INSTANCES_MAX - 1))                                               \
	M(sign, NOFD, "sign this text of a TLS handshake with the key of a pki", R(SESSION, VAULT), \
	    F(STR, key, IPC_NAME_MAX) F(U8, scheme, IPC_SIGN__MAX - 1)                             \
		F(U8, digest, IPC_DIGEST__MAX - 1) F(BYTES, text, IPC_SIGN_MAX))                   \
	M(signature, NOFD, "OK and the signature; FAIL: that is not signed here", R(VAULT, SESSION), \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(BYTES, data, IPC_SIGN_MAX))                     \
	M(ticket_key, NOFD, "the key for session tickets from now on", R(VAULT, SESSION),          \
	    F(U32, revision, IPC_ANY32) F(BYTES, key, IPC_TICKET_KEY_SIZE))                        \
	M(table_state, NOFD, "whether a table of passwords stores SCRAM keys", R(VAULT, SESSION),  \
	    F(STR, table, IPC_WORD_MAX) F(BOOL, scram, 1))                                         \
	M(auth_begin, NOFD, "a client says AUTH", R(SESSION, VAULT),                               \
	    F(STR, client, IPC_WORD_MAX) F(STR, mechanism, 32) F(BOOL, system, 1)                  \
		F(STR, passwords, IPC_WORD_MAX) F(STR, tokens, IPC_WORD_MAX)                       \
		    F(STR, binding, IPC_WORD_MAX) F(BYTES, exporter, IPC_EXPORTER_SIZE)            \
			F(STR, fingerprint, 80)                                                    \
			F(STR, identities, IPC_TEXT_MAX) F(BOOL, with_initial, 1)                  \
			    F(BYTES, initial, IPC_SASL_MAX))                                       \
	M(auth_challenge, NOFD, "the next 334", R(VAULT, SESSION), F(BYTES, data, IPC_SASL_MAX))   \
	M(auth_response, NOFD, "what the client said to it", R(SESSION, VAULT),                    \
	    F(BYTES, data, IPC_SASL_MAX))                                                          \
	M(auth_cancel, NOFD, "the client gave up, or is gone: no answer", R(SESSION, VAULT), )     \
	M(auth_verdict, NOFD, "how it ended; OK: as whom", R(VAULT, SESSION),                      \
	    F(U8, result, IPC_AUTH__MAX - 1) F(STR, login, IPC_ADDRESS_MAX))                       \
	M(hash, NOFD, "does this password go with this hash", R(VAULT, HASHER),                    \
	    F(STR, stored, IPC_SECRET_MAX) F(BYTES, password, IPC_PASSWORD_MAX))                   \
	M(hash_verdict, NOFD, "OK, FAIL, or RETRY when it can't be said", R(HASHER, VAULT),        \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1))                                                  \
	M(derive, NOFD, "the keys that a client of SCRAM has of a password (RFC 5802 3)",          \
	    R(VAULT, HASHER),                                                                      \
	    F(U32, iterations, IPC_ANY32) F(BYTES, salt, IPC_WORD_MAX)                             \
		F(BYTES, password, IPC_PASSWORD_MAX))                                              \
	M(derived, NOFD, "OK: ClientKey and ServerKey; RETRY", R(HASHER, VAULT),                   \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(BYTES, client_key, IPC_EXPORTER_SIZE)           \
		F(BYTES, server_key, IPC_EXPORTER_SIZE))                                           \
	M(find, NOFD, "what a SQLite table keeps for a key; scram: whether any row has SCRAM keys", \
	    R(VAULT, HASHER),                                                                      \
	    F(STR, table, IPC_WORD_MAX) F(U8, service, 63) F(STR, key, IPC_ADDRESS_MAX)            \
		F(BOOL, scram, 1))                                                                 \
	M(found, NOFD, "OK, GONE (no such row) or RETRY", R(HASHER, VAULT),                        \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, value, IPC_SECRET_MAX))                    \
	M(shadow, NOFD, "the password hash of a system account, please", R(VAULT, PARENT),         \
	    F(STR, name, IPC_WORD_MAX))                                                            \
	M(shadow_answer, NOFD, "OK, GONE (no such account, locked, expired) or RETRY",             \
	    R(PARENT, VAULT),                                                                      \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, stored, IPC_SECRET_MAX))                   \
	M(helper_get, NOFD, "connect me to the socket of a table", R(VAULT, PARENT),               \
	    F(STR, table, IPC_WORD_MAX))                                                           \
	M(helper_link, FD, "a connection to it", R(PARENT, VAULT), )                               \
	M(helper_refused, NOFD, "it can't be had", R(PARENT, VAULT), F(STR, text, IPC_TEXT_MAX))   \
	M(relay_auth, NOFD,                                                                        \
	    "log in to the server of a relay, by one of these mechanisms; the channel to it is verified", \
	    R(DELIVERY, VAULT),                                                                    \
	    F(STR, action, IPC_WORD_MAX) F(STR, label, IPC_WORD_MAX) F(STR, host, IPC_NAME_MAX)    \
		F(U16, port, 65535) F(STR, mechanisms, IPC_NAME_MAX))                              \
	M(relay_auth_step, NOFD, "what to say next; the first names the mechanism",                \
	    R(VAULT, DELIVERY),                                                                    \
	    F(STR, mechanism, 32) F(BOOL, with_data, 1) F(BYTES, data, IPC_SASL_MAX))              \
	M(relay_auth_challenge, NOFD, "what the server said to it, decoded", R(DELIVERY, VAULT),   \
	    F(BYTES, data, IPC_SASL_MAX))                                                          \
	M(relay_auth_result, NOFD, "how it ended: OK, FAIL (refused), RETRY, GONE (given up, no answer)", \
	    R(DELIVERY, VAULT), F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_TEXT_MAX))   \
	M(relay_auth_end, NOFD, "OK: go on; else what to tell, and in how many seconds it may go better", \
	    R(VAULT, DELIVERY),                                                                    \
	    F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX)     \
		F(U32, again_s, 86400))                                                            \
	M(seal, NOFD, "keep this on disk under a name; nothing: forget it", R(VAULT, PARENT),      \
	    F(STR, name, IPC_WORD_MAX) F(BYTES, data, IPC_SEALED_MAX))                             \
	M(sealed, NOFD, "OK only when it is durable", R(PARENT, VAULT),                            \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_TEXT_MAX))                       \
	M(fetch, NOFD, "post a form (RFC 6749 4) to an endpoint of the configuration", R(VAULT, FETCH), \
	    F(STR, url, IPC_URL_MAX) F(BYTES, form, IPC_FETCH_MAX))                                \
	M(fetched, NOFD, "OK: the HTTP status and the body; RETRY: why there is none",             \
	    R(FETCH, VAULT),                                                                       \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(U16, code, 999) F(STR, text, IPC_TEXT_MAX)      \
		F(BYTES, body, IPC_FETCH_MAX))

/* -- session: may this recipient be accepted, and take this message -- */
#define MESSAGES_MAIL(M, F, R)                                                                     \
	M(rcpt_check, NOFD, "is this recipient acceptable", R(SESSION, LOOKUP),                    \
	    F(U32, visit, IPC_ANY32) F(BOOL, first, 1)                                             \
		F(STR, client, IPC_WORD_MAX) F(BOOL, local, 1) F(STR, helo, IPC_NAME_MAX)          \
		F(STR, tag, IPC_WORD_MAX) F(STR, auth, IPC_ADDRESS_MAX) F(BOOL, tls, 1)            \
		    F(U8, rdns, IPC_RDNS__MAX - 1) F(STR, name, IPC_NAME_MAX)                      \
		    F(STR, sender, IPC_ADDRESS_MAX) F(STR, rcpt, IPC_ADDRESS_MAX))                 \
	M(rcpt_verdict, NOFD, "the reply to give, the action when it is 250, and why for the log", \
	    R(LOOKUP, SESSION),                                                                    \
	    F(U16, code, 599) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_NAME_MAX)            \
		F(STR, action, IPC_WORD_MAX) F(U32, rule_line, IPC_ANY32)                          \
		    F(STR, why, IPC_NAME_MAX))                                                     \
	M(mail_begin, NOFD, "a transaction has its first good recipient", R(SESSION, QUEUE),                       \
	    F(STR, sender, IPC_ADDRESS_MAX) F(STR, client, IPC_ADDRESS_MAX)                        \
		F(U64, expect_bytes, IPC_ANY64) F(U32, flags, IPC_FLAGS_MAX) F(STR, envid, 128)    \
		    F(STR, ret, 4) F(I64, priority, 9) F(I64, release_s, INT64_MAX)                \
			F(I64, by_s, INT64_MAX) F(U8, by, IPC_BY__MAX - 1) F(BOOL, by_trace, 1))                                                                \
	M(mail_rcpt, NOFD, "one of its recipients", R(SESSION, QUEUE),                             \
	    F(STR, address, IPC_ADDRESS_MAX) F(STR, original, IPC_ADDRESS_MAX)                     \
		F(STR, orcpt, IPC_ADDRESS_MAX) F(STR, action, IPC_WORD_MAX) F(U32, notify, 0xf))   \
	M(mail_ready, NOFD, "OK and the id: send the body; FULL or RETRY: answer 4xx",             \
	    R(QUEUE, SESSION), F(U8, outcome, IPC_OUTCOME__MAX - 1) F(U64, id, IPC_ID_MAX))        \
	M(mail_chunk, NOFD, "the body as it arrives", R(SESSION, QUEUE),                           \
	    F(U32, seq, 0xffffff) F(BYTES, data, IPC_CHUNK_MAX))                                   \
	M(mail_commit, NOFD, "the body is whole: make it durable", R(SESSION, QUEUE),              \
	    F(BYTES, trace, IPC_TRACE_MAX))                                                        \
	M(mail_abort, NOFD, "forget the transaction", R(SESSION, QUEUE), )                         \
	M(mail_done, NOFD, "OK only when durable; anything else: nothing was kept",                \
	    R(QUEUE, SESSION), F(U8, outcome, IPC_OUTCOME__MAX - 1) F(U64, id, IPC_ID_MAX))

/* -- queue: who is it for in the end, and out with it -- */
#define MESSAGES_QUEUE(M, F, R)                                                                    \
	M(expand, NOFD, "apply aliases and virtual users; without an action the rules choose", R(QUEUE, LOOKUP),                       \
	    F(STR, address, IPC_ADDRESS_MAX) F(STR, action, IPC_WORD_MAX))                         \
	M(expand_item, NOFD, "one final recipient", R(LOOKUP, QUEUE),                              \
	    F(STR, address, IPC_ADDRESS_MAX) F(STR, action, IPC_WORD_MAX)                          \
		F(STR, user, IPC_WORD_MAX) F(STR, dest, IPC_NAME_MAX))                             \
	M(expand_end, NOFD, "no more items", R(LOOKUP, QUEUE),                                     \
	    F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX))    \
	M(job, NOFD, "a message for some recipients of one destination", R(QUEUE, DELIVERY),       \
	    F(U64, id, IPC_ID_MAX) F(STR, sender, IPC_ADDRESS_MAX) F(STR, action, IPC_WORD_MAX)    \
		F(STR, dest, IPC_NAME_MAX) F(U32, flags, IPC_FLAGS_MAX) F(U64, size_bytes, IPC_ANY64)       \
		    F(U32, nchunks, 0xffffff) F(U32, nrcpts, 1000) F(STR, envid, 128)              \
			F(STR, ret, 4) F(I64, priority, 9) F(I64, by_s, INT64_MAX)                 \
			    F(U8, by, IPC_BY__MAX - 1) F(BOOL, by_trace, 1)                        \
				F(U8, tls_best, IPC_TLS_LEVEL__MAX - 1))                           \
	M(job_rcpt, NOFD, "one of the job's recipients", R(QUEUE, DELIVERY),                       \
	    F(U64, key, IPC_ANY64) F(STR, address, IPC_ADDRESS_MAX)                                \
		F(STR, original, IPC_ADDRESS_MAX) F(STR, user, IPC_WORD_MAX)                       \
		    F(STR, orcpt, IPC_ADDRESS_MAX) F(U32, notify, 0xf))                            \
	M(chunk_get, NOFD, "a piece of a message, please", R(DELIVERY, QUEUE),                     \
	    F(U64, id, IPC_ID_MAX) F(U32, seq, 0xffffff))                                          \
	M(chunk, NOFD, "a piece of a message", R(QUEUE, DELIVERY),                                 \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(BYTES, data, IPC_CHUNK_MAX))                    \
	M(verdict, NOFD,                                                                           \
	    "what became of one recipient; again_s: not before that (0: no wish); tried: an attempt of its own; relayed: to a server that reports no success", \
	    R(DELIVERY, QUEUE),                                                                    \
	    F(U64, key, IPC_ANY64) F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX)         \
		F(STR, text, IPC_TEXT_MAX) F(STR, remote, IPC_NAME_MAX) F(I64, again_s, INT64_MAX) \
		    F(BOOL, tried, 1) F(BOOL, relayed, 1))                                         \
	M(tls_seen, NOFD, "mail for a domain went out so well protected", R(DELIVERY, QUEUE),      \
	    F(STR, domain, IPC_NAME_MAX) F(U8, level, IPC_TLS_LEVEL__MAX - 1))                     \
	M(forgive, NOFD, "an admin wants it tried: forget what is known to be dead", R(QUEUE, DELIVERY), ) \
	M(relay_ask, NOFD, "an action with tables: whose servers, and from which address",         \
	    R(DELIVERY, LOOKUP),                                                                   \
	    F(STR, action, IPC_WORD_MAX) F(STR, sender, IPC_ADDRESS_MAX) F(STR, dest, IPC_NAME_MAX)) \
	M(relay_url, NOFD, "a server to try, in order; none: the domain's MX", R(LOOKUP, DELIVERY), \
	    F(STR, url, IPC_URL_MAX))                                                              \
	M(relay_source, NOFD, "an address to connect from, and the name to greet with from there", \
	    R(LOOKUP, DELIVERY), F(STR, address, IPC_WORD_MAX) F(STR, helo, IPC_NAME_MAX))         \
	M(relay_end, NOFD, "that was all", R(LOOKUP, DELIVERY),                                    \
	    F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX))    \
	M(lmtp_connect, NOFD, "connect me to the Unix socket of an action", R(DELIVERY, PARENT),   \
	    F(STR, action, IPC_WORD_MAX))                                                          \
	M(lmtp_socket, FD, "a connection to it", R(PARENT, DELIVERY), )                            \
	M(lmtp_refused, NOFD, "it can't be had", R(PARENT, DELIVERY), F(STR, text, IPC_TEXT_MAX))  \
	M(route, NOFD,                                                                             \
	    "which hosts take mail for a name; tlsa: and what DANE says of them (RFC 7672); backup: the MX that we are", \
	    R(DELIVERY, LOOKUP) R(FETCH, LOOKUP),                                                  \
	    F(STR, name, IPC_NAME_MAX) F(BOOL, mx, 1) F(BOOL, tlsa, 1) F(U16, port, 65535)         \
		F(STR, backup, IPC_NAME_MAX))                                                      \
	M(route_tlsa, NOFD, "a secure TLSA record of the host whose addresses come next",          \
	    R(LOOKUP, DELIVERY) R(LOOKUP, FETCH),                                                                   \
	    F(STR, host, IPC_NAME_MAX) F(STR, base, IPC_NAME_MAX) F(U8, usage, 255)                \
		F(U8, selector, 255) F(U8, matching, 255) F(BYTES, data, IPC_TLSA_MAX))            \
	M(route_host, NOFD, "one address of one host, best first; secure: DNSSEC vouches for the name", \
	    R(LOOKUP, DELIVERY) R(LOOKUP, FETCH),                                                                   \
	    F(STR, host, IPC_NAME_MAX) F(STR, address, IPC_WORD_MAX) F(U16, preference, 65535)     \
		F(BOOL, secure, 1))                                                                \
	M(route_end, NOFD, "no more hosts", R(LOOKUP, DELIVERY) R(LOOKUP, FETCH),                                   \
	    F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX))    \
	M(user, NOFD, "is there such an account on this host", R(LOOKUP, PARENT),                  \
	    F(STR, name, IPC_WORD_MAX))                                                            \
	M(user_answer, NOFD, "OK, GONE or RETRY", R(PARENT, LOOKUP),                               \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1))                                                  \
	M(forward_get, NOFD, "the .forward file of an account; userbase \"\": of the system",      \
	    R(LOOKUP, PARENT), F(STR, user, IPC_WORD_MAX) F(STR, userbase, IPC_WORD_MAX))          \
	M(forward_file, FD, "it, opened as the account; root: it may run nothing", R(PARENT, LOOKUP), \
	    F(BOOL, root, 1))                                                                      \
	M(forward_none, NOFD, "GONE: there is none; RETRY: it can't be read now; DENIED: it is not safe", \
	    R(PARENT, LOOKUP), F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_NAME_MAX))    \
	M(include, FD, "a file that a table names by \":include:\"; it comes after the table",     \
	    R(PARENT, LOOKUP), F(STR, table, IPC_WORD_MAX) F(STR, path, IPC_PATH_MAX))             \
	M(userinfo_get, NOFD, "where is an account of a userbase", R(PARENT, LOOKUP),              \
	    F(STR, table, IPC_WORD_MAX) F(STR, user, IPC_WORD_MAX))                                \
	M(userinfo, NOFD, "OK and uid:gid:home, GONE or RETRY", R(LOOKUP, PARENT),                 \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, value, IPC_PATH_MAX))                      \
	M(srs, NOFD, "rewrite a sender for mail that is forwarded; or reverse it",                 \
	    R(LOOKUP, VAULT) R(DELIVERY, VAULT),                                                   \
	    F(BOOL, reverse, 1) F(STR, address, IPC_ADDRESS_MAX) F(STR, domain, IPC_NAME_MAX))     \
	M(srs_answer, NOFD, "OK and the address; GONE: not one of ours; FAIL: it can't be",        \
	    R(VAULT, LOOKUP) R(VAULT, DELIVERY),                                                   \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, address, IPC_ADDRESS_MAX))                 \
	M(table_ask, NOFD, "what stands under a key", R(LOOKUP, TABLE) R(VAULT, TABLE),            \
	    F(STR, table, IPC_WORD_MAX) F(U8, service, 63) F(STR, key, IPC_ADDRESS_MAX))           \
	M(table_row, NOFD, "one row of it", R(TABLE, LOOKUP) R(TABLE, VAULT),                      \
	    F(STR, value, IPC_VALUE_MAX))                                                          \
	M(table_end, NOFD, "OK: those were all; GONE: there is none; RETRY: it can't be said now", \
	    R(TABLE, LOOKUP) R(TABLE, VAULT),                                                      \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_NAME_MAX))

/* -- local delivery -- */
#define MESSAGES_AGENT(M, F, R)                                                                    \
	M(agent_start, NOFD, "run a delivery agent for an account", R(DELIVERY, PARENT),           \
	    F(STR, action, IPC_WORD_MAX) F(STR, user, IPC_WORD_MAX) F(STR, path, IPC_PATH_MAX))    \
	M(agent_started, FD, "a channel to it; it has its mailbox open", R(PARENT, DELIVERY), )    \
	M(agent_refused, NOFD, "none can be run", R(PARENT, DELIVERY),                             \
	    F(U8, outcome, IPC_FAIL) F(STR, text, IPC_TEXT_MAX))                                   \
	M(agent_end, NOFD, "the agent that was asked for with this id is let go: it has to end",   \
	    R(DELIVERY, PARENT), )                                                                 \
	M(mailbox, NOFD, "where the mailbox lies, below its root directory", R(PARENT, AGENT),     \
	    F(STR, path, IPC_PATH_MAX))                                                            \
	M(put, NOFD, "a message for the mailbox", R(DELIVERY, AGENT),                              \
	    F(U64, id, IPC_ID_MAX) F(STR, sender, IPC_ADDRESS_MAX) F(STR, rcpt, IPC_ADDRESS_MAX)   \
		F(U64, size_bytes, IPC_ANY64) F(U32, flags, IPC_FLAGS_MAX))                        \
	M(put_chunk, NOFD, "its body in order, trace headers first", R(DELIVERY, AGENT),           \
	    F(BYTES, data, IPC_CHUNK_MAX))                                                         \
	M(put_end, NOFD, "whole (or, not ok, forget it)", R(DELIVERY, AGENT), F(BOOL, ok, 1))      \
	M(put_verdict, NOFD, "OK only when durable in the mailbox", R(AGENT, DELIVERY),            \
	    F(U8, outcome, IPC_FAIL) F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX))

/* -- the admin -- */
#define R_ADMIN_TO_QUEUE(R) R(ADMIN, CONTROL) R(CONTROL, QUEUE)
#define R_QUEUE_TO_ADMIN(R) R(QUEUE, CONTROL) R(CONTROL, ADMIN)
#define R_ADMIN_TO_LOOKUP(R) R(ADMIN, CONTROL) R(CONTROL, LOOKUP)
#define R_LOOKUP_TO_ADMIN(R) R(LOOKUP, CONTROL) R(CONTROL, ADMIN)
#define R_ADMIN_TO_VAULT(R) R(ADMIN, CONTROL) R(CONTROL, VAULT)
#define R_VAULT_TO_ADMIN(R) R(VAULT, CONTROL) R(CONTROL, ADMIN)
#define R_CONTROL_TO_ALL(R)                                                                        \
	R(CONTROL, PARENT)                                                                         \
	R(CONTROL, SESSION) R(CONTROL, QUEUE) R(CONTROL, LOOKUP) R(CONTROL, DELIVERY)              \
	R(CONTROL, VAULT)
#define R_ADMIN_TO_DELIVERY(R) R(ADMIN, CONTROL) R(CONTROL, DELIVERY)
#define R_DELIVERY_TO_ADMIN(R) R(DELIVERY, CONTROL) R(CONTROL, ADMIN)
#define R_ALL_TO_CONTROL(R)                                                                        \
	R(PARENT, CONTROL)                                                                         \
	R(SESSION, CONTROL) R(QUEUE, CONTROL) R(LOOKUP, CONTROL) R(DELIVERY, CONTROL)              \
	R(VAULT, CONTROL)

#define MESSAGES_ADMIN(M, F, R)                                                                    \
	M(list, NOFD, "a page of the queue, ids above after", R_ADMIN_TO_QUEUE(R),                 \
	    F(U64, after, IPC_ID_MAX) F(U32, limit, 100))                                          \
	M(get, NOFD, "one message, recipients included", R_ADMIN_TO_QUEUE(R),                      \
	    F(U64, id, IPC_ID_MAX))                                                                \
	M(list_message, NOFD, "a message of a page", R_QUEUE_TO_ADMIN(R),                          \
	    F(U64, id, IPC_ID_MAX) F(STR, sender, IPC_ADDRESS_MAX) F(STR, client, IPC_ADDRESS_MAX) \
		F(I64, received_s, INT64_MAX) F(I64, expires_s, INT64_MAX)                         \
		    F(U64, size_bytes, IPC_ANY64) F(U32, flags, IPC_FLAGS_MAX)                     \
			F(U32, nchunks, 0xffffff) F(STR, envid, 128) F(STR, ret, 4)                \
			    F(I64, priority, 9) F(I64, release_s, INT64_MAX)                       \
				F(U8, by, IPC_BY__MAX - 1) F(I64, by_s, INT64_MAX))                \
	M(list_rcpt, NOFD, "a recipient of the message before it", R_QUEUE_TO_ADMIN(R),            \
	    F(U64, key, IPC_ANY64) F(STR, address, IPC_ADDRESS_MAX)                                \
		F(STR, original, IPC_ADDRESS_MAX) F(STR, orcpt, IPC_ADDRESS_MAX)                   \
		F(U32, notify, 0xf) F(STR, action, IPC_WORD_MAX)                                   \
		    F(STR, dest, IPC_NAME_MAX) F(U8, state, 15) F(BOOL, working, 1)                \
			F(I64, due_s, INT64_MAX) F(U32, attempts, IPC_ANY32)                       \
			    F(STR, status, IPC_STATUS_MAX) F(STR, text, IPC_TEXT_MAX)              \
				F(STR, remote, IPC_NAME_MAX))                                      \
	M(list_end, NOFD, "the page is over", R_QUEUE_TO_ADMIN(R),                                 \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(BOOL, more, 1))                                 \
	M(read, NOFD, "a piece of a message's text", R_ADMIN_TO_QUEUE(R),                          \
	    F(U64, id, IPC_ID_MAX) F(U32, seq, 0xffffff))                                          \
	M(read_data, NOFD, "a piece of a message's text", R_QUEUE_TO_ADMIN(R),                     \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(BYTES, data, IPC_CHUNK_MAX))                    \
	M(change, NOFD, "schedule, remove, hold, release; id 0: all", R_ADMIN_TO_QUEUE(R),         \
	    F(U8, what, IPC_CHANGE__MAX - 1) F(U64, id, IPC_ID_MAX))                               \
	M(done, NOFD, "an admin's request is carried out, or not",                                 \
	    R(QUEUE, CONTROL) R(LOOKUP, CONTROL) R(VAULT, CONTROL) R(PARENT, CONTROL)              \
		R(CONTROL, ADMIN),                                                                 \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_TEXT_MAX))                       \
	M(clients, NOFD, "a page of clients that are counted, after a number", R_ADMIN_TO_LOOKUP(R), \
	    F(U64, after, IPC_ANY64) F(U32, limit, 100))                                           \
	M(clients_row, NOFD, "one client: what it has open, and did in this period",               \
	    R_LOOKUP_TO_ADMIN(R),                                                                  \
	    F(U64, number, IPC_ANY64) F(STR, client, IPC_WORD_MAX) F(U32, open, IPC_ANY32)         \
		F(U32, connections, IPC_ANY32) F(U32, messages, IPC_ANY32)                         \
		    F(U32, recipients, IPC_ANY32) F(U32, refused, IPC_ANY32)                       \
			F(STR, over, IPC_WORD_MAX) F(I64, until_s, INT64_MAX))                     \
	M(clients_end, NOFD, "the page is over", R_LOOKUP_TO_ADMIN(R),                             \
	    F(U32, open, IPC_ANY32) F(BOOL, more, 1))                                              \
	M(clients_clear, NOFD, "forget what this client did; \"\": all of them", R_ADMIN_TO_LOOKUP(R), \
	    F(STR, client, IPC_WORD_MAX))                                                          \
	M(table_update, NOFD, "read this table's file again; forget what was said of it",          \
	    R(ADMIN, CONTROL) R(CONTROL, PARENT) R(PARENT, LOOKUP),                                \
	    F(STR, table, IPC_WORD_MAX))                                                           \
	M(find_in, NOFD, "what a table says for a service and key", R_ADMIN_TO_LOOKUP(R),          \
	    F(STR, table, IPC_WORD_MAX) F(U8, service, 63) F(STR, key, IPC_ADDRESS_MAX))           \
	M(find_secret, NOFD, "what kind of secret a table has for a login, never which",           \
	    R_ADMIN_TO_VAULT(R), F(STR, table, IPC_WORD_MAX) F(STR, key, IPC_ADDRESS_MAX))         \
	M(find_row, NOFD, "a piece of the value; piece after piece, they make the whole",          \
	    R(LOOKUP, CONTROL) R(VAULT, CONTROL) R(CONTROL, ADMIN), F(STR, value, IPC_VALUE_MAX))  \
	M(find_end, NOFD,                                                                          \
	    "OK, GONE, RETRY; DENIED: the vault has it; FAIL: there is no such table, or not so",  \
	    R(LOOKUP, CONTROL) R(VAULT, CONTROL) R(CONTROL, ADMIN),                                \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_TEXT_MAX))                       \
	M(explain, NOFD, "decide as for this client and recipient, and tell every step",           \
	    R_ADMIN_TO_LOOKUP(R),                                                                  \
	    F(STR, client, IPC_WORD_MAX) F(STR, listener, IPC_NAME_MAX) F(STR, helo, IPC_NAME_MAX) \
		F(STR, auth, IPC_ADDRESS_MAX) F(BOOL, tls, 1) F(STR, sender, IPC_ADDRESS_MAX)      \
		    F(STR, rcpt, IPC_ADDRESS_MAX))                                                 \
	M(explain_row, NOFD, "one step; depth says which step before it is a part of",             \
	    R_LOOKUP_TO_ADMIN(R),                                                                  \
	    F(U32, depth, 255) F(STR, kind, IPC_WORD_MAX) F(STR, subject, IPC_TEXT_MAX)            \
		F(STR, result, IPC_WORD_MAX) F(STR, text, IPC_TEXT_MAX) F(U32, line, IPC_ANY32)    \
		    F(BOOL, decides, 1))                                                           \
	M(explain_end, NOFD, "the reply that RCPT would get, and why",                             \
	    R_LOOKUP_TO_ADMIN(R),                                                                  \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(U16, code, 599) F(STR, status, IPC_STATUS_MAX)  \
		F(STR, text, IPC_TEXT_MAX) F(STR, why, IPC_TEXT_MAX) F(STR, action, IPC_WORD_MAX)  \
		    F(U32, rule_line, IPC_ANY32))                                                  \
	M(limits, NOFD, "a page of what bounds deliveries, after a number", R_ADMIN_TO_DELIVERY(R), \
	    F(U64, after, IPC_ANY64) F(U32, limit, 100))                                           \
	M(limits_row, NOFD, "what one destination, relay, source, mx, host or route uses; max 0: no limit", \
	    R_DELIVERY_TO_ADMIN(R),                                                                \
	    F(U64, number, IPC_ANY64) F(STR, scope, IPC_WORD_MAX) F(STR, key, IPC_TEXT_MAX)        \
		F(U32, connections, IPC_ANY32) F(U32, connections_max, IPC_ANY32)                  \
		    F(U32, mails, IPC_ANY32) F(U32, mails_max, IPC_ANY32)                          \
			F(I64, delay_ms, INT64_MAX) F(U32, waiting, IPC_ANY32)                     \
			    F(I64, until_s, INT64_MAX) F(STR, why, IPC_TEXT_MAX))                  \
	M(limits_end, NOFD, "the page is over", R_DELIVERY_TO_ADMIN(R),                            \
	    F(U32, connections, IPC_ANY32) F(U32, connections_max, IPC_ANY32) F(BOOL, more, 1))    \
	M(tls_domains, NOFD, "a page of the domains whose best protection is remembered, after a name", \
	    R_ADMIN_TO_QUEUE(R), F(STR, after, IPC_NAME_MAX) F(U32, limit, 100))                   \
	M(tls_domains_row, NOFD, "one of them: since when, and when it was so last",               \
	    R_QUEUE_TO_ADMIN(R),                                                                   \
	    F(STR, domain, IPC_NAME_MAX) F(U8, level, IPC_TLS_LEVEL__MAX - 1)                      \
		F(I64, since_s, INT64_MAX) F(I64, seen_s, INT64_MAX))                              \
	M(tls_domains_end, NOFD, "the page is over", R_QUEUE_TO_ADMIN(R), F(BOOL, more, 1))        \
	M(tls_forget, NOFD, "forget what is remembered of a domain; \"\": of all", R_ADMIN_TO_QUEUE(R), \
	    F(STR, domain, IPC_NAME_MAX))                                                          \
	M(oauth_login, NOFD, "an admin wants to give consent; redirect: where a browser is sent back to, or \"\"", \
	    R_ADMIN_TO_VAULT(R), F(STR, label, IPC_WORD_MAX) F(STR, redirect, IPC_NAME_MAX))       \
	M(oauth_prompt, NOFD, "what the admin is to do: open this, and (device) type this code there", \
	    R_VAULT_TO_ADMIN(R),                                                                   \
	    F(U8, how, IPC_OAUTH__MAX - 1) F(STR, url, IPC_URL_MAX) F(STR, code, IPC_WORD_MAX)     \
		F(I64, expires_s, INT64_MAX))                                                      \
	M(oauth_code, NOFD, "what the browser came back with", R_ADMIN_TO_VAULT(R),                \
	    F(STR, label, IPC_WORD_MAX) F(STR, code, IPC_URL_MAX) F(STR, state, IPC_NAME_MAX))     \
	M(oauth_done, NOFD, "OK: consent is there, and kept; else why not", R_VAULT_TO_ADMIN(R),   \
	    F(U8, outcome, IPC_OUTCOME__MAX - 1) F(STR, text, IPC_TEXT_MAX))                       \
	M(oauth_list, NOFD, "every oauth of the configuration", R_ADMIN_TO_VAULT(R), )             \
	M(oauth_row, NOFD, "one: whose it is, until when its token is good, what is wrong with it", \
	    R_VAULT_TO_ADMIN(R),                                                                   \
	    F(STR, label, IPC_WORD_MAX) F(STR, provider, IPC_WORD_MAX) F(STR, user, IPC_ADDRESS_MAX) \
		F(STR, grant, IPC_WORD_MAX) F(BOOL, consent, 1) F(I64, consent_s, INT64_MAX)       \
		    F(I64, expires_s, INT64_MAX) F(STR, trouble, IPC_TEXT_MAX))                    \
	M(oauth_end, NOFD, "no more of them", R_VAULT_TO_ADMIN(R), )                               \
	M(oauth_forget, NOFD, "forget consent and tokens of a label", R_ADMIN_TO_VAULT(R),         \
	    F(STR, label, IPC_WORD_MAX))                                                           \
	M(certificates, NOFD, "every certificate, please", R_ADMIN_TO_VAULT(R), )                  \
	M(certificates_row, NOFD, "one pki: what its certificate says, and what is wrong with it", \
	    R_VAULT_TO_ADMIN(R),                                                                   \
	    F(STR, name, IPC_WORD_MAX) F(STR, subject, IPC_NAME_MAX) F(STR, issuer, IPC_NAME_MAX)  \
		F(STR, names, IPC_TEXT_MAX) F(STR, key_type, IPC_WORD_MAX)                         \
		    F(STR, fingerprint, 80) F(I64, not_before_s, INT64_MAX)                        \
			F(I64, not_after_s, INT64_MAX) F(STR, used_by, IPC_TEXT_MAX)               \
			    F(STR, warnings, IPC_TEXT_MAX) F(U64, signatures, IPC_ANY64))          \
	M(certificates_end, NOFD, "no more certificates", R_VAULT_TO_ADMIN(R), )                   \
	M(logins, NOFD, "a page of the addresses and logins that failed, after a number",          \
	    R_ADMIN_TO_VAULT(R), F(U64, after, IPC_ANY64) F(U32, limit, 100))                      \
	M(logins_row, NOFD, "one of them; until 0: it may try", R_VAULT_TO_ADMIN(R),               \
	    F(U64, number, IPC_ANY64) F(BOOL, login, 1) F(STR, what, IPC_ADDRESS_MAX)              \
		F(U32, failures, IPC_ANY32) F(I64, last_s, INT64_MAX) F(I64, until_s, INT64_MAX))  \
	M(logins_end, NOFD, "the page is over", R_VAULT_TO_ADMIN(R), F(BOOL, more, 1))             \
	M(logins_clear, NOFD, "forget the failures of an address or login; \"\": of all",          \
	    R_ADMIN_TO_VAULT(R), F(STR, what, IPC_ADDRESS_MAX))                                    \
	M(stats, NOFD, "your counters, please", R(ADMIN, CONTROL) R_CONTROL_TO_ALL(R), )           \
	M(stats_row, NOFD, "one counter", R(CONTROL, ADMIN) R_ALL_TO_CONTROL(R),                   \
	    F(STR, name, IPC_WORD_MAX) F(U64, value, IPC_ANY64))                                   \
	M(stats_end, NOFD, "no more counters", R(CONTROL, ADMIN) R_ALL_TO_CONTROL(R), )            \
	M(procs, NOFD, "every process, declared and actual", R(ADMIN, CONTROL) R(CONTROL, PARENT), ) \
	M(procs_row, NOFD, "one process", R(PARENT, CONTROL) R(CONTROL, ADMIN),                    \
	    F(STR, role, IPC_WORD_MAX) F(U32, instance, IPC_ANY32) F(U32, pid, IPC_ANY32)          \
		F(I64, uptime_s, INT64_MAX) F(U32, restarts, IPC_ANY32)                            \
		    F(U64, rss_bytes, IPC_ANY64) F(STR, declared, IPC_TEXT_MAX)                    \
			F(STR, actual, IPC_TEXT_MAX) F(STR, weaker, IPC_TEXT_MAX))                 \
	M(procs_end, NOFD, "no more processes", R(PARENT, CONTROL) R(CONTROL, ADMIN),              \
	    F(STR, version, IPC_WORD_MAX) F(BOOL, privileged, 1) F(BOOL, smtp_paused, 1)           \
		F(BOOL, delivery_paused, 1) F(I64, uptime_s, INT64_MAX) F(U32, generation, IPC_ANY32))

/* -- the test build only: make a process attempt what it must not do -- */
#ifdef TEST_HOOKS
#define MESSAGES_TEST(M, F, R)                                                                     \
	M(probe, NOFD, "attempt act n in a role; ask for its name with run 0",                     \
	    R(ADMIN, CONTROL) R(CONTROL, PARENT) R_PARENT_TO_ALL(R),                               \
	    F(U8, role, ROLE__MAX - 1) F(U32, act, 1000) F(BOOL, run, 1))                          \
	M(probe_result, NOFD, "survived, or the errno that refused it",                            \
	    R_ALL_TO_PARENT(R) R(PARENT, CONTROL) R(CONTROL, ADMIN),                               \
	    F(BOOL, survived, 1) F(BOOL, as_declared, 1) F(U32, error, 4095)                           \
		F(STR, name, IPC_NAME_MAX))
#else
#define MESSAGES_TEST(M, F, R)
#endif

#define MESSAGES(M, F, R)                                                                          \
	MESSAGES_LIFE(M, F, R)                                                                     \
	MESSAGES_CLIENT(M, F, R)                                                                   \
	MESSAGES_VAULT(M, F, R)                                                                    \
	MESSAGES_MAIL(M, F, R)                                                                     \
	MESSAGES_QUEUE(M, F, R)                                                                    \
	MESSAGES_AGENT(M, F, R)                                                                    \
	MESSAGES_ADMIN(M, F, R)                                                                    \
	MESSAGES_TEST(M, F, R)

/* clang-format on */

#endif
