/* SPDX-License-Identifier: ISC */
/* The small file of a PostgreSQL table: what is taken holds what was promised. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/postgres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(const struct postgres *p)
{
	uint8_t address[16];

	if (p->hostaddr == NULL || p->user == NULL || p->user[0] == '\0' || p->port_number == 0)
		abort();
	if (inet_pton(AF_INET, p->hostaddr, address) != 1 &&
	    inet_pton(AF_INET6, p->hostaddr, address) != 1)
		abort();
	if (p->password != NULL && strlen(p->password) > POSTGRES_VALUE_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct database_error error;
	struct postgres p;

	if (postgres_parse((const char *)data, size, &p, &error) == 0) {
		look_at(&p);
		postgres_free(&p);
	} else if (error.text[0] == '\0' || strlen(error.text) >= sizeof(error.text))
		abort();
	if (p.hostaddr != NULL || p.password != NULL || p.db.place != NULL)
		abort();
	return 0;
}
