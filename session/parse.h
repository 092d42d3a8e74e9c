/* SPDX-License-Identifier: ISC */
#ifndef SESSION_PARSE_H
#define SESSION_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
};

enum notify {
	NOTIFY_NEVER = 1 << 0,
	NOTIFY_SUCCESS = 1 << 1,
	NOTIFY_FAILURE = 1 << 2,
	NOTIFY_DELAY = 1 << 3,
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
/* "BDAT size [LAST]" (RFC 3030 2).  Not PARSE_OK: how much follows can't be known. */
enum parse_result parse_bdat(const struct command *c, uint64_t *size, bool *last) WARN_UNUSED;

#endif
