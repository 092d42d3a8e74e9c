/* SPDX-License-Identifier: ISC */
#ifndef SESSION_PARSE_H
#define SESSION_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/messages.h"
#include "lib/mail/address.h"

/* What a command line can begin with.  Any HTTP method is VERB_HTTP. */
enum verb {
	VERB_UNKNOWN,
	VERB_HELO,
	VERB_EHLO,
	VERB_LHLO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_QUIT,
	VERB_VRFY,
	VERB_EXPN,
	VERB_HELP,
	VERB_STARTTLS,
	VERB_AUTH,
	VERB_ETRN,
	VERB_XCLIENT,
	VERB_HTTP,
	VERB__MAX
};

enum command_octet {
	COMMAND_NUL = 1 << 0,
	COMMAND_CR = 1 << 1,
	COMMAND_LF = 1 << 2,
	COMMAND_CONTROL = 1 << 3, /* any other control octet, TAB and DEL among them */
};

struct command {
	enum verb verb;
	const char *arg;     /* into the line; "" if there is none; ends at the line's NUL */
	size_t arg_len;	     /* without spaces at its end */
	unsigned bad_octets; /* enum command_octet; if any, answer 501 5.5.2 and go no further */
	bool has_8bit;
};

/* One line without its CRLF; line[len] must be NUL.  The command points into it. */
void parse_command(const char *line, size_t len, struct command *out);
const char *verb_name(enum verb v); /* "MAIL"; "?" for VERB_UNKNOWN and VERB_HTTP */

/* What came of an argument; each has its answer in parse_answer(). */
enum parse_result {
	PARSE_OK,
	PARSE_SYNTAX,
	PARSE_BAD_ADDRESS,
	PARSE_LOCAL_TOO_LONG,
	PARSE_NEEDS_SMTPUTF8,
	PARSE_UNKNOWN_PARAM,
	PARSE_BAD_PARAM,
	PARSE_TOO_BIG,
	PARSE__MAX
};

struct parse_answer {
	int code;
	const char *enhanced;
	const char *text;
};
/* The answer to a refused argument; MAIL and RCPT differ (RFC 3463 3.2).  Never for PARSE_OK. */
const struct parse_answer *parse_answer(enum parse_result r, enum verb verb);

enum body_kind { BODY_KIND_NONE, BODY_KIND_7BIT, BODY_KIND_8BITMIME, BODY_KIND_BINARYMIME };

#define PARSE_ENVID_MAX 100 /* RFC 3461 4.4, octets before decoding */
#define PARSE_ORCPT_MAX 500 /* RFC 3461 4.2 */

struct mail_args {
	struct address from; /* empty: the null path */
	bool has_size;
	uint64_t size;	     /* RFC 1870; below 2^63; the caller compares it with its limit */
	enum body_kind body; /* RFC 6152, 3030 */
	bool smtputf8;	     /* RFC 6531 */
	char ret[5];	     /* "FULL", "HDRS" or "" (RFC 3461 4.3) */
	char envid[PARSE_ENVID_MAX + 1]; /* decoded, printable; "" if not given */
	bool has_auth;
	char auth[ADDRESS_MAX + 1]; /* decoded; "<>" or an address (RFC 4954 5) */
	bool requiretls;	    /* RFC 8689 3 */
	bool has_priority;
	int priority; /* -9 to 9 (RFC 6710 3) */
	bool has_hold;
	int64_t hold_for_s;   /* HOLDFOR; 0 when HOLDUNTIL was given (RFC 4865 3) */
	int64_t hold_until_s; /* HOLDUNTIL as seconds since 1970; 0 when HOLDFOR was given */
	bool has_by;
	int64_t by_s;  /* from now, may be negative or 0 with 'N' (RFC 2852 4) */
	char by_mode;  /* 'R' or 'N' */
	bool by_trace; /* 'T' */
};

enum notify {
	NOTIFY_NEVER = IPC_NOTIFY_NEVER,
	NOTIFY_SUCCESS = IPC_NOTIFY_SUCCESS,
	NOTIFY_FAILURE = IPC_NOTIFY_FAILURE,
	NOTIFY_DELAY = IPC_NOTIFY_DELAY,
};

struct rcpt_args {
	struct address to;
	unsigned notify;		 /* enum notify; 0: not given (RFC 3461 4.1) */
	char orcpt[PARSE_ORCPT_MAX + 1]; /* "type;address", decoded, printable; "" if not given */
};

/* arg: the command's, to its NUL.  *out is whole on PARSE_OK alone. */
enum parse_result parse_mail(const char *arg, struct mail_args *out) WARN_UNUSED;
/* smtputf8: what MAIL said. */
enum parse_result parse_rcpt(const char *arg, bool smtputf8, struct rcpt_args *out) WARN_UNUSED;
/* The name after HELO, EHLO or LHLO: one word that address_helo_valid() likes. */
enum parse_result
parse_hello(const struct command *c, char dst[ADDRESS_DOMAIN_MAX + 1]) WARN_UNUSED;
/*
 * XCLIENT, as the field's servers speak it.  An attribute that was not given is
 * NULL; one that is [UNAVAILABLE] or [TEMPUNAVAIL] is "".  Decoded from xtext,
 * free of control octets, and of its kind: ADDR an IPv4 address or "IPV6:" one
 * (given back without that prefix), PORT decimal, NAME and HELO host names (or
 * literals), PROTO SMTP or ESMTP, LOGIN any word.
 */
struct xclient_args {
	char text[1024]; /* that the others point into */
	const char *addr, *port, *name, *helo, *proto, *login, *destaddr, *destport;
};
enum parse_result parse_xclient(const char *arg, struct xclient_args *out) WARN_UNUSED;
/* "BDAT size [LAST]" (RFC 3030 2).  Not PARSE_OK: how much follows can't be known. */
enum parse_result parse_bdat(const struct command *c, uint64_t *size, bool *last) WARN_UNUSED;

#endif
