/* SPDX-License-Identifier: ISC */
/*
 * Lines to and from back ends.
 *
 * Invariant: a login that leaves the parsers has no control characters and fits;
 * what is written can't break out of its field.  Nothing is fatal.
 */
#include "vault/remote_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"

bool
login_is_fit(const char *login, size_t len)
{
	size_t i;

	if (len == 0 || len > IPC_ADDRESS_MAX)
		return false;
	for (i = 0; i < len; i++)
		if ((unsigned char)login[i] <= ' ' || login[i] == 0x7f)
			return false;
	return true;
}

/* -- what Dovecot says: words separated by tabs -- */

struct words {
	const char *at, *end; /* at is NULL when none is left */
};

static bool
word_next(struct words *w, const char **word, size_t *len)
{
	const char *tab;

	if (w->at == NULL)
		return false;
	tab = memchr(w->at, '\t', (size_t)(w->end - w->at));
	*word = w->at;
	*len = (size_t)((tab == NULL ? w->end : tab) - w->at);
	w->at = tab == NULL ? NULL : tab + 1;
	return true;
}

static bool
word_is(const char *word, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(word, what, len) == 0;
}

static int
word_number(struct words *w, uint32_t *out)
{
	const char *word;
	char digits[16];
	uint64_t n;
	size_t len;

	if (!word_next(w, &word, &len) || len >= sizeof(digits))
		return -1;
	memcpy(digits, word, len);
	digits[len] = '\0';
	if (strlen(digits) != len || str_u64(digits, 0, UINT32_MAX, &n) == -1)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
take_version(struct words *w, struct dovecot_line *out)
{
	return word_number(w, &out->major);
}

static const struct {
	const char *name;
	enum remote_secret kind;
} mechanisms[] = {
    {"PLAIN", REMOTE_PASSWORD},
    {"OAUTHBEARER", REMOTE_OAUTHBEARER},
    {"XOAUTH2", REMOTE_XOAUTH2},
};

static int
take_mechanism(struct words *w, struct dovecot_line *out)
{
	const char *word;
	size_t len, i;

	if (!word_next(w, &word, &len))
		return -1;
	for (i = 0; i < NITEMS(mechanisms); i++)
		if (word_is(word, len, mechanisms[i].name)) {
			out->known = true;
			out->kind = mechanisms[i].kind;
		}
	return 0;
}

static int
take_nothing(struct words *w, struct dovecot_line *out)
{
	(void)w;
	(void)out;
	return 0;
}

static int
take_cont(struct words *w, struct dovecot_line *out)
{
	return word_number(w, &out->id);
}

/*
 * Dovecot escapes tabs and newlines, which no login has.  Whoever may not log in, or only by way of
 * another server, which is to look at the password then, is as good as refused.
 */
static int
take_ok(struct words *w, struct dovecot_line *out)
{
	static const char user[] = "user=";
	const size_t n = sizeof(user) - 1;
	const char *word, *login = "";
	size_t len, login_len = 0;

	if (word_number(w, &out->id) == -1)
		return -1;
	while (word_next(w, &word, &len)) {
		if (word_is(word, len, "nologin") || word_is(word, len, "proxy"))
			out->word = DOVECOT_FAIL;
		if (len >= n && memcmp(word, user, n) == 0) {
			login = word + n;
			login_len = len - n;
		}
	}
	if (out->word == DOVECOT_FAIL)
		return 0;
	if (login_is_fit(login, login_len)) {
		memcpy(out->login, login, login_len);
	} else {
		out->word = DOVECOT_FAIL;
		out->temporary = true;
	}
	return 0;
}

static int
take_fail(struct words *w, struct dovecot_line *out)
{
	const char *word;
	size_t len;

	if (word_number(w, &out->id) == -1)
		return -1;
	while (word_next(w, &word, &len))
		if (word_is(word, len, "temp") || word_is(word, len, "code=temp_fail"))
			out->temporary = true;
	return 0;
}

static const struct {
	const char *name;
	enum dovecot_word word;
	int (*take)(struct words *w, struct dovecot_line *out);
} answers[] = {
    {"VERSION", DOVECOT_VERSION, take_version},
    {"MECH", DOVECOT_MECH, take_mechanism},
    {"DONE", DOVECOT_DONE, take_nothing},
    {"CONT", DOVECOT_CONT, take_cont},
    {"OK", DOVECOT_OK, take_ok},
    {"FAIL", DOVECOT_FAIL, take_fail},
};

int
dovecot_parse(const char *line, size_t len, struct dovecot_line *out)
{
	struct words w = {line, line + len};
	const char *word;
	size_t n, i;

	memset(out, 0, sizeof(*out));
	if (!word_next(&w, &word, &n))
		return -1;
	for (i = 0; i < NITEMS(answers); i++)
		if (word_is(word, n, answers[i].name)) {
			out->word = answers[i].word;
			return answers[i].take(&w, out);
		}
	return 0;
}

/* -- what is said to it -- */

/* Octets that end a field of a SASL message, or of a log line of somebody's. */
static bool
has_control(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return true;
	return false;
}

/* RFC 4616 2, without an identity to act as. */
static int
message_plain(struct buf *out, const struct remote_request *r)
{
	if (r->login[0] == '\0' || memchr(r->secret.data, '\0', r->secret.len) != NULL) {
		errno = EINVAL;
		return -1;
	}
	if (buf_append(out, "", 1) == -1 || buf_append_str(out, r->login) == -1 ||
	    buf_append(out, "", 1) == -1)
		return -1;
	return buf_append(out, r->secret.data, r->secret.len);
}

/* "a=" of RFC 5801 4. */
static int
append_saslname(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++) {
		int ok;

		if (*name == ',')
			ok = buf_append_str(out, "=2C");
		else if (*name == '=')
			ok = buf_append_str(out, "=3D");
		else
			ok = buf_append(out, name, 1);
		if (ok == -1)
			return -1;
	}
	return 0;
}

static int
append_bearer(struct buf *out, const struct remote_request *r)
{
	if (has_control((const char *)r->secret.data, r->secret.len)) {
		errno = EINVAL;
		return -1;
	}
	if (buf_append_str(out, "\1auth=Bearer ") == -1 ||
	    buf_append(out, r->secret.data, r->secret.len) == -1)
		return -1;
	return buf_append_str(out, "\1\1");
}

/* RFC 7628 3.1 */
static int
message_oauthbearer(struct buf *out, const struct remote_request *r)
{
	if (buf_append_str(out, "n,") == -1)
		return -1;
	if (r->login[0] != '\0' &&
	    (buf_append_str(out, "a=") == -1 || append_saslname(out, r->login) == -1))
		return -1;
	return buf_append_str(out, ",") == -1 ? -1 : append_bearer(out, r);
}

static int
message_xoauth2(struct buf *out, const struct remote_request *r)
{
	if (buf_append_str(out, "user=") == -1 || buf_append_str(out, r->login) == -1)
		return -1;
	return append_bearer(out, r);
}

static int (*const message_of[])(struct buf *out, const struct remote_request *r) = {
    [REMOTE_PASSWORD] = message_plain,
    [REMOTE_OAUTHBEARER] = message_oauthbearer,
    [REMOTE_XOAUTH2] = message_xoauth2,
};

static int
append_base64(struct buf *out, const void *data, size_t len)
{
	uint8_t *place = buf_reserve(out, BASE64_SIZE(len));

	if (place == NULL)
		return -1;
	buf_commit(out, base64_encode(data, len, (char *)place));
	return 0;
}

/* Who asks, for Dovecot's log; a client on a Unix socket has no address. */
static int
append_client(struct buf *out, const char *client)
{
	if (client[0] == '\0' || client[strspn(client, "0123456789abcdefABCDEF.:")] != '\0')
		return 0;
	return buf_printf(out, "\trip=%s", client);
}

static int
append_auth(struct buf *out, uint32_t id, const struct remote_request *r, const struct buf *message)
{
	/* No login will follow; TLS is the session's care; who guesses is ours. */
	if (buf_printf(out, "AUTH\t%u\t%s\tservice=smtp\tnologin\tsecured\tno-penalty", id,
		mechanisms[r->kind].name) == -1 ||
	    append_client(out, r->client) == -1 || buf_append_str(out, "\tresp=") == -1 ||
	    append_base64(out, buf_head(message), message->len) == -1)
		return -1;
	if (out->len > DOVECOT_LINE_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return buf_append_str(out, "\n");
}

int
dovecot_auth(struct buf *out, uint32_t id, const struct remote_request *request)
{
	struct buf message;
	int ok = -1;

	if (has_control(request->login, strlen(request->login))) {
		errno = EINVAL;
		return -1;
	}
	buf_init(&message, DOVECOT_LINE_MAX);
	if (message_of[request->kind](&message, request) == 0)
		ok = append_auth(out, id, request, &message);
	buf_free(&message);
	if (ok == -1 && errno == ENOBUFS)
		errno = EMSGSIZE;
	return ok;
}

int
dovecot_give_up(struct buf *out, uint32_t id, enum remote_secret kind)
{
	/* "AQ==" is the octet 1; XOAUTH2 wants an empty line. */
	return buf_printf(out, "CONT\t%u\t%s\n", id, kind == REMOTE_OAUTHBEARER ? "AQ==" : "");
}

/* -- helpers -- */

int
helper_parse(const char *line, size_t len, struct helper_line *out)
{
	memset(out, 0, sizeof(*out));
	if (word_is(line, len, "NO")) {
		out->result = IPC_AUTH_REFUSED;
		return 0;
	}
	if (word_is(line, len, "LATER")) {
		out->result = IPC_AUTH_TROUBLE;
		return 0;
	}
	if (len < 3 || memcmp(line, "OK ", 3) != 0 || !login_is_fit(line + 3, len - 3))
		return -1;
	out->result = IPC_AUTH_OK;
	memcpy(out->login, line + 3, len - 3);
	return 0;
}

int
helper_token(struct buf *out, const struct remote_request *request)
{
	const char *login = request->login;

	if (request->secret.len == 0) {
		errno = EINVAL;
		return -1;
	}
	/* One that can't be anybody's is not asked about: no answer will be the same. */
	if (!login_is_fit(login, strlen(login)))
		login = "-";
	if (buf_append_str(out, "TOKEN ") == -1 ||
	    append_base64(out, request->secret.data, request->secret.len) == -1 ||
	    buf_printf(out, " %s", login) == -1)
		return -1;
	if (out->len >= HELPER_LINE_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return buf_append_str(out, "\n");
}
