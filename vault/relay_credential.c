/* SPDX-License-Identifier: ISC */
/*
 * A relay's user and password, taken apart.
 *
 * Invariant: nothing of the value is in what is said about it.
 */
#include "vault/relay_credential.h"

#include <string.h>

#include "vault/sasl_parse.h"

const char *
relay_credential_parse(const char *value, struct relay_credential *out)
{
	size_t len = strcspn(value, ":");
	const char *password;

	memset(out, 0, sizeof(*out));
	if (value[len] == '\0')
		return "not of the form user:password";
	if (len > IPC_ADDRESS_MAX || !sasl_is_name((const uint8_t *)value, len))
		return "the user is empty, too long, or has control characters";
	password = value + len + 1;
	if (*password == '\0' || strlen(password) > IPC_PASSWORD_MAX)
		return "the password is empty, or too long";
	memcpy(out->user, value, len);
	out->password = (struct span){(const uint8_t *)password, strlen(password)};
	return NULL;
}
