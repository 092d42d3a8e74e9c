/* SPDX-License-Identifier: ISC */
/*
 * SASL messages, the first octet says of which mechanism: what is taken has
 * names that are names and a secret that lies within the message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vault/sasl_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*parser)(const uint8_t *data, size_t len, struct sasl_message *out);

static const struct {
	parser parse;
	bool secret, login; /* are a must */
	size_t secret_max;
} mechanisms[] = {
    {sasl_plain_parse, true, true, IPC_PASSWORD_MAX},
    {sasl_external_parse, false, false, 0},
    {sasl_oauthbearer_parse, true, false, IPC_SASL_MAX},
    {sasl_xoauth2_parse, true, true, IPC_SASL_MAX},
};

static void
check_name(const char *name, bool must)
{
	size_t len = strnlen(name, IPC_ADDRESS_MAX + 1);

	if ((must || len > 0) && !sasl_is_name((const uint8_t *)name, len))
		abort();
}

static void
check_secret(const struct sasl_message *m, const uint8_t *data, size_t size, size_t max)
{
	uintptr_t at = (uintptr_t)m->secret.data, start = (uintptr_t)data;

	if (m->secret.len == 0)
		return;
	if (at < start || at - start > size || m->secret.len > size - (at - start) ||
	    m->secret.len > max || memchr(m->secret.data, '\0', m->secret.len) != NULL)
		abort();
}

static void
try_login(const uint8_t *data, size_t size)
{
	char name[IPC_ADDRESS_MAX + 1];

	if (sasl_login_name(data, size, name) == 0)
		check_name(name, true);
	else if (name[0] != '\0')
		abort();
	if (sasl_login_password(data, size) == 0 && (size == 0 || size > IPC_PASSWORD_MAX))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_message m;
	uint8_t *exact;
	size_t i;

	if (size == 0 || size > IPC_SASL_MAX + 1)
		return 0;
	i = data[0] % (NITEMS(mechanisms) + 1);
	if ((exact = malloc(size)) == NULL)
		abort();
	memcpy(exact + 1, data + 1, --size);
	if (i == NITEMS(mechanisms)) {
		try_login(exact + 1, size);
	} else if (mechanisms[i].parse(exact + 1, size, &m) == 0) {
		check_name(m.login, mechanisms[i].login);
		check_name(m.authzid, false);
		if (mechanisms[i].secret && m.secret.len == 0)
			abort();
		check_secret(&m, exact + 1, size, mechanisms[i].secret_max);
	} else if (m.login[0] != '\0' || m.authzid[0] != '\0' || m.secret.data != NULL) {
		abort();
	}
	free(exact);
	return 0;
}
