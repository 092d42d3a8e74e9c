/* SPDX-License-Identifier: ISC */
/*
 * The name of one key, the same in the process that asks for a signature and
 * in the one that makes it.  Nothing here is fatal.
 */
#include "lib/key/key_id.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/ipc/message.h"

/* Octets that the table gives to the first field of `sign`. */
static size_t
key_bound(void)
{
	size_t n;

	return (size_t)message_fields(MSG_sign, &n)[0].bound;
}

int
key_id(char dst[KEY_ID_SIZE], const char *name, const uint8_t *spki, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[EVP_MAX_MD_SIZE];
	char mark[1 + KEY_ID_DIGITS + 1] = "#";
	size_t i;

	if (strlen(name) + sizeof(mark) - 1 > key_bound()) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (EVP_Digest(spki, len, hash, NULL, EVP_sha256(), NULL) != 1) {
		errno = EIO;
		return -1;
	}
	for (i = 0; i < KEY_ID_DIGITS; i++)
		mark[1 + i] = digits[i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 0xf];
	mark[1 + KEY_ID_DIGITS] = '\0';
	return str_format(dst, KEY_ID_SIZE, "%s%s", name, mark);
}
