/* SPDX-License-Identifier: ISC */
/* TLSA records and fingerprints: what we call usable, OpenSSL can use; and no octet behind the end is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "delivery/policy.h"
#include "lib/net/tls_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_record(const uint8_t *data, size_t size)
{
	static struct tls_client *client;
	struct tls_record r = {data[0], data[1], data[2], data + 3, size - 3};
	struct tls_want want = {
	    .check = TLS_CHECK_RECORDS, .host = "peer.test", .records = &r, .nrecords = 1};
	struct tls *tls;

	if (!tls_record_is_usable(&r))
		return;
	if (client == NULL && (client = tls_client_create()) == NULL)
		abort();
	if ((tls = tls_client_connect(client, NULL, &want)) == NULL)
		abort();
	tls_free(tls);
}

static void
try_pins(const uint8_t *data, size_t size)
{
	struct tls_record pins[POLICY_PINS_MAX];
	uint8_t room[POLICY_PINS_MAX][32];
	char *text = malloc(size + 1);
	size_t i, n;

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (policy_pins(text, pins, room, &n) == 0)
		for (i = 0; i < n; i++)
			if (!tls_record_is_usable(&pins[i]))
				abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 3)
		try_record(data, size);
	try_pins(data, size);
	return 0;
}
