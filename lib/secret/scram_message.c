/* SPDX-License-Identifier: ISC */
/*
 * The messages of SCRAM, by the grammar of RFC 5802 7.
 *
 * Invariants: nothing past the message is read; a span that is handed out
 * lies within it.  An extension that must be understood ("m=") is refused,
 * others are passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"
#include "lib/secret/scram.h"

struct reader {
	const uint8_t *at, *end;
	bool over; /* what was read last was the last attribute */
};

/* What comes before the next comma, or is left; the comma is passed over. */
static struct span
field_next(struct reader *r)
{
	const uint8_t *start = r->at, *comma = NULL;

	if (r->at < r->end)
		comma = memchr(r->at, ',', (size_t)(r->end - r->at));
	r->over = comma == NULL;
	r->at = r->over ? r->end : comma + 1;
	return (struct span){start, (size_t)((r->over ? r->end : comma) - start)};
}

/* An attribute's value, which is never empty; *name is its letter.  -1: it is none. */
static int
attribute_next(struct reader *r, char *name, struct span *value)
{
	struct span field = field_next(r);

	if (field.len < 3 || !char_is_alpha(field.data[0]) || field.data[1] != '=' ||
	    memchr(field.data, '\0', field.len) != NULL)
		return -1;
	*name = (char)field.data[0];
	*value = (struct span){field.data + 2, field.len - 2};
	return 0;
}

/* The attribute that has to be next. */
static int
attribute_take(struct reader *r, char name, struct span *value)
{
	char got;

	return attribute_next(r, &got, value) == 0 && got == name ? 0 : -1;
}

/* saslname: "=2C" stands for a comma, "=3D" for the sign itself. */
static int
name_decode(struct span text, char dst[SCRAM_NAME_MAX + 1])
{
	size_t i, n = 0;

	for (i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '=') {
			if (text.len - i < 3)
				return -1;
			if (memcmp(text.data + i, "=2C", 3) == 0)
				c = ',';
			else if (memcmp(text.data + i, "=3D", 3) != 0)
				return -1;
			i += 2;
		}
		if (n == SCRAM_NAME_MAX)
			return -1;
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	return 0;
}

static bool
is_binding_name(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!char_is_alnum(s.data[i]) && s.data[i] != '.' && s.data[i] != '-')
			return false;
	return s.len > 0;
}

static bool
is_nonce(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.data[i] < 0x21 || s.data[i] > 0x7e)
			return false;
	return s.len <= SCRAM_NONCE_MAX + SCRAM_NONCE_SIZE;
}

/* gs2-cbind-flag */
static int
flag_take(struct reader *r, struct scram_first *out)
{
	struct span field = field_next(r);

	if (field.len == 1 && field.data[0] == 'n')
		out->flag = SCRAM_NO_BINDING;
	else if (field.len == 1 && field.data[0] == 'y')
		out->flag = SCRAM_NOT_OFFERED;
	else if (field.len > 2 && memcmp(field.data, "p=", 2) == 0)
		out->flag = SCRAM_WITH_BINDING;
	else
		return -1;
	if (out->flag != SCRAM_WITH_BINDING)
		return 0;
	out->binding = (struct span){field.data + 2, field.len - 2};
	return is_binding_name(out->binding) ? 0 : -1;
}

/* [ authzid ] of the gs2-header */
static int
authzid_take(struct reader *r, struct scram_first *out)
{
	struct span field = field_next(r);

	if (field.len == 0)
		return 0;
	if (field.len < 3 || memcmp(field.data, "a=", 2) != 0)
		return -1;
	return name_decode((struct span){field.data + 2, field.len - 2}, out->authzid);
}

static int
extensions_skip(struct reader *r)
{
	struct span value;
	char name;

	while (!r->over)
		if (attribute_next(r, &name, &value) == -1)
			return -1;
	return 0;
}

int
scram_first_parse(const uint8_t *message, size_t len, struct scram_first *out)
{
	struct reader r = {.at = message, .end = message + len};
	struct span login;

	memset(out, 0, sizeof(*out));
	if (len == 0 || len > SCRAM_MESSAGE_MAX || memchr(message, '\0', len) != NULL ||
	    flag_take(&r, out) == -1 || r.over || authzid_take(&r, out) == -1 || r.over)
		goto invalid;
	out->header = (struct span){message, (size_t)(r.at - message)};
	out->bare = (struct span){r.at, (size_t)(r.end - r.at)};
	if (attribute_take(&r, 'n', &login) == -1 || r.over ||
	    attribute_take(&r, 'r', &out->nonce) == -1 || extensions_skip(&r) == -1)
		goto invalid;
	if (name_decode(login, out->login) == 0 && is_nonce(out->nonce) &&
	    out->nonce.len <= SCRAM_NONCE_MAX)
		return 0;
invalid:
	memset(out, 0, sizeof(*out));
	errno = EINVAL;
	return -1;
}

static int
proof_decode(struct span text, uint8_t proof[SCRAM_KEY_SIZE])
{
	size_t n;

	return base64_decode((const char *)text.data, text.len, proof, SCRAM_KEY_SIZE, &n) == 0 &&
		       n == SCRAM_KEY_SIZE
		   ? 0
		   : -1;
}

/* What stands between nonce and proof is passed over; the proof is last. */
static int
proof_take(struct reader *r, const uint8_t *message, struct scram_final *out)
{
	struct span value;
	char name = '\0';

	while (!r->over && name != 'p') {
		out->without_proof = (struct span){
		    message, (size_t)(r->at - message) - 1 /* the comma */};
		if (attribute_next(r, &name, &value) == -1)
			return -1;
	}
	return name == 'p' && r->over ? proof_decode(value, out->proof) : -1;
}

int
scram_final_parse(const uint8_t *message, size_t len, struct scram_final *out)
{
	struct reader r = {.at = message, .end = message + len};
	struct span binding;

	memset(out, 0, sizeof(*out));
	if (len > 0 && len <= SCRAM_MESSAGE_MAX && attribute_take(&r, 'c', &binding) == 0 &&
	    !r.over && attribute_take(&r, 'r', &out->nonce) == 0 && is_nonce(out->nonce) &&
	    base64_decode((const char *)binding.data, binding.len, out->binding,
		sizeof(out->binding), &out->binding_len) == 0 &&
	    proof_take(&r, message, out) == 0)
		return 0;
	memset(out, 0, sizeof(*out));
	errno = EINVAL;
	return -1;
}

void
scram_server_first(const struct scram_first *first, const char ours[SCRAM_NONCE_SIZE + 1],
    const struct scram_keys *k, char dst[SCRAM_SERVER_FIRST_SIZE])
{
	char salt[BASE64_SIZE(SCRAM_SALT_MAX)];

	_Static_assert(sizeof(salt) + sizeof("r=,s=,i=") + 10 <= 128, "the message fits");
	(void)base64_encode(k->salt, k->salt_len, salt);
	(void)snprintf(dst, SCRAM_SERVER_FIRST_SIZE, "r=%.*s%s,s=%s,i=%u", (int)first->nonce.len,
	    (const char *)first->nonce.data, ours, salt, k->iterations);
}
