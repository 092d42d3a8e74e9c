/* SPDX-License-Identifier: ISC */
#ifndef SESSION_REPLY_H
#define SESSION_REPLY_H

/*
 * Every reply that a session gives by itself: name, code, enhanced code
 * (RFC 3463; "" where RFC 2034 4 wants none), text.  Those of lookup come with
 * their own code and text.
 */
/* clang-format off */
#define REPLIES(X)                                                                                 \
	X(NONE, 0, "", "")                                                                         \
	X(BYE, 221, "2.0.0", "Bye")                                                                \
	X(NOT_HTTP, 221, "2.7.0", "This is not a web server")                                      \
	X(OK, 250, "2.0.0", "OK")                                                                  \
	X(SENDER_OK, 250, "2.1.0", "Sender OK")                                                    \
	X(CANNOT_VERIFY, 252, "2.5.0", "Send some mail, I'll try my best")                         \
	X(HELP, 214, "2.0.0", "See RFC 5321")                                                      \
	X(GO_AHEAD, 354, "", "End data with <CRLF>.<CRLF>")                                        \
	X(CLOSING, 421, "4.3.2", "The server is going down, try again")                            \
	X(LOOKUP_AWAY, 421, "4.3.0", "Not ready right now, try again")                             \
	X(BAD_PROXY, 421, "4.7.0", "That is no PROXY header")                                      \
	X(TIMEOUT, 421, "4.4.2", "You were silent for too long")                                   \
	X(TOO_MANY_SESSIONS, 421, "4.3.2", "Too many connections, try again later")                \
	X(TOO_MANY_ERRORS, 421, "4.7.0", "Too many errors")                                        \
	X(TOO_MANY_LOGINS, 421, "4.7.0", "Too many failed logins")                                 \
	X(LOOKUP_DOWN, 451, "4.4.3", "Recipients can't be checked right now, try again")           \
	X(QUEUE_DOWN, 451, "4.3.0", "The message can't be stored right now, try again")            \
	X(PAUSED, 451, "4.3.2", "No mail is taken right now, try again later")                     \
	X(NO_MEMORY, 451, "4.3.0", "Out of memory, try again")                                     \
	X(TOO_MANY_MAILS, 452, "4.5.3", "Enough messages for one session, open another")           \
	X(FILTERS_DOWN, 451, "4.3.0", "The filters can't be asked right now, try again")            \
	X(DISK_FULL, 452, "4.3.1", "The disk is full, try again later")                            \
	X(TOO_MANY_RCPTS, 452, "4.5.3", "Too many recipients, send the rest in another message")   \
	X(UNKNOWN, 500, "5.5.1", "Command not recognized")                                         \
	X(LINE_TOO_LONG, 500, "5.5.2", "Line too long")                                            \
	X(BARE_LF, 500, "5.5.2", "Lines end in CRLF")                                              \
	X(BAD_OCTET, 501, "5.5.2", "Control characters are not allowed in a command")              \
	X(NO_ARGUMENT, 501, "5.5.4", "This command takes no argument")                             \
	X(BAD_CHUNK, 501, "5.5.4", "That is no size of a chunk")                                   \
	X(HOLD_TOO_LONG, 501, "5.5.4", "That is too far in the future")                            \
	X(BAD_BY, 501, "5.5.4", "That time has passed already")                                    \
	X(BAD_XCLIENT, 501, "5.5.4", "Bad XCLIENT attributes")                                     \
	X(BAD_HELLO, 501, "5.5.4", "That is not a host name or an address literal")                \
	X(NOT_IMPLEMENTED, 502, "5.5.1", "Command not implemented")                                \
	X(HELLO_FIRST, 503, "5.5.1", "Say EHLO first")                                             \
	X(NESTED_MAIL, 503, "5.5.1", "A transaction is under way already")                         \
	X(MAIL_FIRST, 503, "5.5.1", "Say MAIL first")                                              \
	X(RCPT_FIRST, 503, "5.5.1", "Say RCPT first")                                              \
	X(BDAT_UNDER_WAY, 503, "5.5.1", "A message in chunks is under way: BDAT or RSET")          \
	X(BINARY_BY_DATA, 503, "5.5.1", "BINARYMIME takes BDAT")                                   \
	X(EARLY_PIPELINE, 503, "5.5.0", "You did not wait for the answer")                         \
	X(LHLO_HERE, 500, "5.5.1", "This is LMTP: say LHLO")                                       \
	X(NO_VALID_RCPT, 554, "5.5.1", "No valid recipients")                                      \
	X(TLS_FIRST, 530, "5.7.0", "Say STARTTLS first")                                           \
	X(AUTH_FIRST, 530, "5.7.0", "Authentication is required")                                  \
	X(TLS_TROUBLE, 454, "4.7.0", "TLS can't be had right now, try again later")                \
	X(TLS_ALREADY, 503, "5.5.1", "TLS is on already")                                          \
	X(START_TLS, 220, "2.0.0", "Ready for TLS")                                                \
	X(AUTH_OK, 235, "2.7.0", "Authentication succeeded")                                       \
	X(AUTH_BLOCKED, 454, "4.7.0", "Too many failed logins, try again later")                   \
	X(AUTH_TROUBLE, 454, "4.7.0", "Logins can't be checked right now, try again later")        \
	X(AUTH_LINE_TOO_LONG, 500, "5.5.6", "That is too long for a line of AUTH")                 \
	X(AUTH_CANCELLED, 501, "5.7.0", "Authentication cancelled")                                \
	X(AUTH_WHICH, 501, "5.5.4", "AUTH takes the name of a mechanism")                          \
	X(AUTH_MALFORMED, 501, "5.5.2", "That is not Base64, or not what the mechanism says")      \
	X(AUTH_ALREADY, 503, "5.5.1", "You are authenticated already")                             \
	X(NO_SUCH_MECHANISM, 504, "5.5.4", "No such mechanism of authentication here")             \
	X(AUTH_REFUSED, 535, "5.7.8", "Login or password is wrong")                                \
	X(NO_AUTH_WITHOUT_TLS, 538, "5.7.11", "Authentication needs TLS")                          \
	X(AUTH_FOR_PARAM, 530, "5.7.0", "That parameter takes authentication")                     \
	X(NO_XCLIENT, 550, "5.7.0", "You may not speak for others")                                \
	X(EARLY_TALKER, 554, "5.5.0", "You spoke before you were greeted")                         \
	X(BAD_BODY, 550, "5.5.2", "Bare CR, bare LF or NUL in the message")                        \
	X(BAD_CHUNK_BODY, 550, "5.6.0", "Bare CR, bare LF or NUL takes BODY=BINARYMIME")           \
	X(BODY_LINE_TOO_LONG, 550, "5.6.0", "A line of the message is too long")                   \
	X(TOO_BIG, 552, "5.3.4", "The message is too big")                                         \
	X(LOOP, 554, "5.4.6", "Too many hops: this message is going in circles")                   \
	X(UNSUPPORTED_PARAM, 555, "5.5.4", "Parameter not supported")
/* clang-format on */

#define REPLY_ENUM(name, code, status, text) REPLY_##name,
enum reply { REPLIES(REPLY_ENUM) REPLY__MAX };
#undef REPLY_ENUM

struct reply_row {
	int code;
	const char *status, *text;
};
const struct reply_row *reply_row(enum reply r);

#endif
