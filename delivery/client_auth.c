/* SPDX-License-Identifier: ISC */
/*
 * AUTH (RFC 4954): the owner says what to say, this knows how it is written.
 *
 * Invariants: nothing of an exchange is said unless the owner found TLS good
 * enough; what is part of one is wiped as soon as it is written or handed over,
 * and is in no text for people.
 */
#include "delivery/client_private.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"
#include "lib/net/io.h"

#define COMMAND_MAX 512 /* octets, CRLF included: RFC 4954 4, RFC 5321 4.5.3.1.4 */

void
client_auth_begin(struct client *c)
{
	if ((c->features & FEATURE_AUTH) == 0) {
		verdict_of(&c->why, CAUSE_AUTH_NOT_OFFERED, NULL);
		client_pass_over(c);
	} else if (!c->secure || c->options.callbacks->on_tls == NULL) {
		verdict_of(&c->why, CAUSE_AUTH_UNSAFE, NULL);
		client_pass_over(c);
	} else if (client_may_talk(c)) {
		client_enter(c, CLIENT_CREDENTIAL);
		c->options.callbacks->on_auth(c->options.arg, c->mechanisms);
	}
}

/* -- what we say -- */

static int
encode(struct buf *out, const struct span *data)
{
	uint8_t *text = buf_reserve(out, BASE64_SIZE(data->len));

	if (text == NULL)
		return -1;
	buf_commit(out, base64_encode(data->data, data->len, (char *)text));
	return 0;
}

/* AUTH and its arguments, or (command "") a response. */
static void
say(struct client *c, const char *command, const void *text, size_t len)
{
	if (!client_may_talk(c))
		return;
	client_enter(c, CLIENT_AUTH);
	client_cork(c);
	client_write_str(c, command);
	client_write(c, text, len);
	client_write_str(c, "\r\n");
	client_uncork(c);
}

/* The mechanism, with an initial response if there is one that the line has room for. */
static void
say_first(struct client *c, const char *mechanism, const struct span *data)
{
	char command[64];

	c->response_due = false;
	(void)snprintf(command, sizeof(command), "AUTH %.40s ", mechanism);
	if (data != NULL && data->len == 0) {
		say(c, command, "=", 1);
	} else if (data != NULL && strlen(command) + c->response.len + 2 <= COMMAND_MAX) {
		say(c, command, buf_head(&c->response), c->response.len);
	} else {
		c->response_due = data != NULL;
		command[strlen(command) - 1] = '\0';
		say(c, command, "", 0);
	}
}

void
client_auth(struct client *c, const char *mechanism, const struct span *data)
{
	if (c->state != CLIENT_CREDENTIAL)
		return;
	buf_free(&c->response);
	if (data != NULL && encode(&c->response, data) == -1)
		client_fail(c, CAUSE_AUTH_TROUBLE, "what is to be said is too long");
	else if (mechanism != NULL && mechanism[0] != '\0')
		say_first(c, mechanism, data);
	else
		say(c, "", buf_head(&c->response), c->response.len);
}

void
client_auth_stop(struct client *c, const struct verdict *why)
{
	bool let_in = c->state == CLIENT_IDLE && c->ntransactions == 0;

	if (c->state != CLIENT_CREDENTIAL && c->state != CLIENT_AUTH && !let_in && !c->passed_over)
		return;
	c->why = *why;
	if (!c->passed_over)
		client_give_up(c, CLIENT_UNUSABLE);
}

/* -- what the server says -- */

static void
on_challenge(struct client *c, struct span data)
{
	if (c->response_due) { /* the mechanism has no question before it */
		c->response_due = false;
		say(c, "", buf_head(&c->response), c->response.len);
		return;
	}
	buf_free(&c->response);
	client_enter(c, CLIENT_CREDENTIAL);
	c->options.callbacks->on_auth_challenge(c->options.arg, data);
}

bool
client_auth_line(struct client *c, const char *line, size_t len)
{
	UNINITIALIZED uint8_t data[IPC_SASL_MAX];
	size_t n = 0;
	int rc = 0;

	if (c->reply.lines > 0 || len < 3 || memcmp(line, "334", 3) != 0 ||
	    (len > 3 && line[3] != ' '))
		return false;
	if (len > 4)
		rc = base64_decode(line + 4, len - 4, data, sizeof(data), &n);
	io_line_done(c->io);
	if (rc == -1 && !c->response_due) /* "334 go on" is no rare answer to a bare AUTH */
		client_fail(c, CAUSE_GARBAGE, "a challenge that is not base64");
	else
		on_challenge(c, (struct span){data, n});
	explicit_bzero(data, n);
	return true;
}

/* Behind its last control character is the password or the token, whatever the mechanism. */
static void
hide_decoded(char *text, const char *said, size_t len)
{
	UNINITIALIZED uint8_t plain[IPC_SASL_MAX];
	size_t end = 0, from;

	if (base64_decode(said, len, plain, sizeof(plain), &end) == -1)
		end = 0;
	while (end > 0 && plain[end - 1] < 0x20)
		end--;
	for (from = end; from > 0 && plain[from - 1] >= 0x20; from--)
		;
	str_hide(text, plain + from, end - from);
	explicit_bzero(plain, sizeof(plain));
}

/* Servers say back what they don't understand.  What we said of a credential is for nobody's eyes. */
static void
hide_response(struct client *c)
{
	const char *said = (const char *)buf_head(&c->response);
	size_t len = c->response.len;

	if (len == 0)
		return;
	hide_decoded(c->reply.text, said, len);
	while (len > 0 && said[len - 1] == '=')
		len--;
	str_hide(c->reply.text, said, len);
}

void
client_on_auth_ok(struct client *c)
{
	hide_response(c);
	buf_free(&c->response);
	c->options.callbacks->on_auth_result(c->options.arg, IPC_OK, c->reply.text);
	if (c->state == CLIENT_AUTH)
		client_ready(c);
}

/* The owner may know better why; another server, or another time, may do. */
void
client_on_auth_refused(struct client *c)
{
	enum ipc_outcome outcome = c->reply.code / 100 == 5 ? IPC_FAIL : IPC_RETRY;

	hide_response(c);
	buf_free(&c->response);
	verdict_of_reply(&c->why, STAGE_AUTH, &c->reply);
	c->options.callbacks->on_auth_result(c->options.arg, outcome, c->why.text);
	client_pass_over(c);
}
