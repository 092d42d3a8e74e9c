/* SPDX-License-Identifier: ISC */
/*
 * Forms and codes of OAuth, as they go out.
 *
 * Invariant: whatever a value holds, it is one value of the form.
 */
#include "vault/oauth_form.h"

#include <errno.h>
#include <openssl/sha.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"

/* RFC 3986 2.3: what means itself everywhere. */
static int
add_encoded(struct buf *form, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		const char code[3] = {'%', digits[c >> 4], digits[c & 0xf]};
		bool plain = char_is_alnum(c) || strchr("-._~", c) != NULL;

		if (buf_append(form, plain ? text : code, plain ? 1 : sizeof(code)) == -1)
			return -1;
	}
	return 0;
}

int
form_add(struct buf *form, const char *name, const char *value)
{
	char last;

	if (value == NULL)
		return 0;
	last = form->len == 0 ? '?' : (char)buf_head(form)[form->len - 1];
	if ((last != '?' && last != '&' && buf_append(form, "&", 1) == -1) ||
	    add_encoded(form, name) == -1 || buf_append(form, "=", 1) == -1)
		return -1;
	return add_encoded(form, value);
}

size_t
base64url_encode(const void *data, size_t len, char *dst)
{
	size_t n = base64_encode(data, len, dst), i;

	while (n > 0 && dst[n - 1] == '=')
		dst[--n] = '\0';
	for (i = 0; i < n; i++) {
		if (dst[i] == '+')
			dst[i] = '-';
		else if (dst[i] == '/')
			dst[i] = '_';
	}
	return n;
}

int
pkce_challenge(const char verifier[PKCE_SIZE], char dst[PKCE_SIZE])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char text[BASE64_SIZE(sizeof(hash))];

	if (SHA256((const uint8_t *)verifier, strlen(verifier), hash) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	(void)base64url_encode(hash, sizeof(hash), text);
	return str_copy(dst, PKCE_SIZE, text);
}
