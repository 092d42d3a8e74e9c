/* SPDX-License-Identifier: ISC */
/*
 * The messages of SASL mechanisms, octet by octet.
 *
 * Invariants: nothing past the message is read; secrets are pointed to, never
 * copied; what breaks a grammar in the least is refused.
 */
#include "vault/sasl_parse.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

#define SEPARATOR 0x01 /* kvsep */

struct reader {
	const uint8_t *at, *end;
};

bool
sasl_is_name(const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] < 0x20 || data[i] == 0x7f)
			return false;
	return len > 0 && len <= IPC_ADDRESS_MAX;
}

bool
sasl_may_act(const char *login, const char *authzid)
{
	return authzid[0] == '\0' || strcmp(login, authzid) == 0;
}

static int
name_copy(struct span s, char dst[IPC_ADDRESS_MAX + 1])
{
	if (!sasl_is_name(s.data, s.len))
		return -1;
	memcpy(dst, s.data, s.len);
	dst[s.len] = '\0';
	return 0;
}

static bool
is_password(struct span s)
{
	return s.len > 0 && s.len <= IPC_PASSWORD_MAX && memchr(s.data, '\0', s.len) == NULL;
}

/* What comes before the next separator, which is passed over.  -1: there is none. */
static int
take(struct reader *r, uint8_t separator, struct span *out)
{
	const uint8_t *start = r->at, *stop = NULL;

	if (r->at < r->end)
		stop = memchr(start, separator, (size_t)(r->end - start));
	if (stop == NULL)
		return -1;
	*out = (struct span){start, (size_t)(stop - start)};
	r->at = stop + 1;
	return 0;
}

static int
refuse(struct sasl_message *out)
{
	memset(out, 0, sizeof(*out));
	errno = EINVAL;
	return -1;
}

int
sasl_plain_parse(const uint8_t *data, size_t len, struct sasl_message *out)
{
	struct reader r = {data, data + len};
	struct span authzid, login;

	memset(out, 0, sizeof(*out));
	if (take(&r, '\0', &authzid) == -1 || take(&r, '\0', &login) == -1)
		return refuse(out);
	out->secret = (struct span){r.at, (size_t)(r.end - r.at)};
	if ((authzid.len > 0 && name_copy(authzid, out->authzid) == -1) ||
	    name_copy(login, out->login) == -1 || !is_password(out->secret))
		return refuse(out);
	return 0;
}

int
sasl_login_name(const uint8_t *data, size_t len, char out[IPC_ADDRESS_MAX + 1])
{
	/* Some clients end what they say with a NUL. */
	if (len > 0 && data[len - 1] == '\0')
		len--;
	if (name_copy((struct span){data, len}, out) == 0)
		return 0;
	out[0] = '\0';
	errno = EINVAL;
	return -1;
}

int
sasl_login_password(const uint8_t *data, size_t len)
{
	if (is_password((struct span){data, len}))
		return 0;
	errno = EINVAL;
	return -1;
}

int
sasl_external_parse(const uint8_t *data, size_t len, struct sasl_message *out)
{
	memset(out, 0, sizeof(*out));
	if (len > 0 && name_copy((struct span){data, len}, out->authzid) == -1)
		return refuse(out);
	return 0;
}

/* b64token (RFC 6750 2.1): letters, digits, "-._~+/", then any "=". */
static bool
is_token(struct span s)
{
	size_t i = 0;

	while (i < s.len && (char_is_alnum(s.data[i]) ||
				(s.data[i] != '\0' && strchr("-._~+/", s.data[i]) != NULL)))
		i++;
	if (i == 0)
		return false;
	while (i < s.len && s.data[i] == '=')
		i++;
	return i == s.len;
}

/* "Bearer <token>"; the word in any case, as those of HTTP are. */
static int
bearer_take(struct span value, struct sasl_message *out)
{
	static const char bearer[] = "bearer ";
	size_t i, n = strlen(bearer);

	for (i = 0; i < n; i++)
		if (i == value.len || char_lower(value.data[i]) != (unsigned char)bearer[i])
			return -1;
	while (n < value.len && value.data[n] == ' ')
		n++;
	if (out->secret.len > 0)
		return -1; /* a second one */
	out->secret = (struct span){value.data + n, value.len - n};
	return is_token(out->secret) ? 0 : -1;
}

static bool
is_key(struct span key, const char *name)
{
	return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

/* key = 1*ALPHA, value = *(VCHAR / SP / HTAB / CR / LF) */
static int
pair_split(struct span pair, struct span *key, struct span *value)
{
	struct reader r = {pair.data, pair.data + pair.len};
	size_t i;

	if (take(&r, '=', key) == -1 || key->len == 0)
		return -1;
	for (i = 0; i < key->len; i++)
		if (!char_is_alpha(key->data[i]))
			return -1;
	*value = (struct span){r.at, (size_t)(r.end - r.at)};
	for (i = 0; i < value->len; i++)
		if (value->data[i] > 0x7e ||
		    (value->data[i] < 0x20 &&
			(value->data[i] == '\0' || strchr("\t\r\n", value->data[i]) == NULL)))
			return -1;
	return 0;
}

/* *kvpair kvsep, the end: "auth" has to be among them; with user, so has "user". */
static int
pairs_take(struct reader *r, bool user, struct sasl_message *out)
{
	struct span pair, key, value;

	for (;;) {
		if (take(r, SEPARATOR, &pair) == -1)
			return -1;
		if (pair.len == 0)
			break;
		if (pair_split(pair, &key, &value) == -1)
			return -1;
		if (is_key(key, "auth") && bearer_take(value, out) == -1)
			return -1;
		if (user && is_key(key, "user") &&
		    (out->login[0] != '\0' || name_copy(value, out->login) == -1))
			return -1;
	}
	return r->at == r->end && out->secret.len > 0 && (!user || out->login[0] != '\0') ? 0 : -1;
}

/* saslname of RFC 5801 4: "=2C" is a comma, "=3D" the sign itself. */
static int
saslname_copy(struct span s, char dst[IPC_ADDRESS_MAX + 1])
{
	uint8_t name[IPC_ADDRESS_MAX];
	size_t i, n = 0;

	for (i = 0; i < s.len && n < sizeof(name); i++) {
		name[n++] = s.data[i];
		if (s.data[i] != '=')
			continue;
		if (s.len - i < 3)
			return -1;
		if (memcmp(s.data + i, "=2C", 3) == 0)
			name[n - 1] = ',';
		else if (memcmp(s.data + i, "=3D", 3) != 0)
			return -1;
		i += 2;
	}
	return i == s.len ? name_copy((struct span){name, n}, dst) : -1;
}

int
sasl_oauthbearer_parse(const uint8_t *data, size_t len, struct sasl_message *out)
{
	struct reader r = {data, data + len};
	struct span flag, authzid;

	memset(out, 0, sizeof(*out));
	/* Channel bindings ("p=") have no meaning here (RFC 7628 3.1). */
	if (take(&r, ',', &flag) == -1 || flag.len != 1 ||
	    (flag.data[0] != 'n' && flag.data[0] != 'y') || take(&r, ',', &authzid) == -1)
		return refuse(out);
	if (authzid.len > 0 &&
	    (authzid.len < 2 || memcmp(authzid.data, "a=", 2) != 0 ||
		saslname_copy((struct span){authzid.data + 2, authzid.len - 2}, out->login) == -1))
		return refuse(out);
	if (r.at == r.end || *r.at++ != SEPARATOR || pairs_take(&r, false, out) == -1)
		return refuse(out);
	return 0;
}

int
sasl_xoauth2_parse(const uint8_t *data, size_t len, struct sasl_message *out)
{
	struct reader r = {data, data + len};

	memset(out, 0, sizeof(*out));
	return pairs_take(&r, true, out) == -1 ? refuse(out) : 0;
}
