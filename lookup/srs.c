/* SPDX-License-Identifier: ISC */
/*
 * What SRS addresses stand for: asked of the vault, remembered in a memo.
 *
 * Invariant: each entry that the memo asks for is the owner of one question to the vault and
 * is answered when that ends, however it does.  Nothing is fatal.
 */
#include "lookup/srs.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/service/service.h"

#define QUESTION_MS 20000
#define YES_MS	    60000
#define NO_MS	    10000

struct srs {
	struct service *const *service;
	struct memo *memo;
};

bool
srs_is_local_part(const char *local)
{
	return (str_starts_nocase(local, "SRS0") || str_starts_nocase(local, "SRS1")) &&
	       local[4] != '\0' && strchr("=+-", local[4]) != NULL;
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	(void)why;
	memo_answer(owner, TABLE_TROUBLE, NULL, 0);
}

/* The key is "-address"; rewriting is delivery's. */
static int
srs_ask(void *arg, struct memo_entry *entry)
{
	const struct srs *s = arg;
	struct service *service = *s->service;
	struct channel *vault = service_peer(service, ROLE_VAULT, 0);
	const char *key = memo_key(entry);
	struct msg_srs m = {.reverse = true, .domain = ""};

	if (vault == NULL || key[0] != '-')
		return -1;
	m.address = key + 1;
	m.req = ask_begin(
	    service_asks(service), vault, service_now_ms(service) + QUESTION_MS, on_failed, entry);
	if (m.req == 0)
		return -1;
	if (channel_send(vault, MSG_srs, &m) == 0)
		return 0;
	ask_end(service_asks(service), m.req);
	return -1;
}

struct srs *
srs_create(struct service *const *service)
{
	struct memo_plan plan = {.entries_max = 8192,
	    .octets_max = 2U << 20,
	    .asked_max = 4096,
	    .yes_ms = YES_MS,
	    .no_ms = NO_MS,
	    .ask = srs_ask};
	struct srs *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->service = service;
	plan.arg = s;
	if ((s->memo = memo_create(&plan)) != NULL)
		return s;
	free(s);
	return NULL;
}

void
srs_free(struct srs *s)
{
	if (s == NULL)
		return;
	memo_free(s->memo);
	free(s);
}

struct memo *
srs_memo(struct srs *s)
{
	return s->memo;
}

void
srs_tick(struct srs *s, int64_t now_ms)
{
	memo_tick(s->memo, now_ms);
}

void
srs_answer(
    struct srs *s, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *address)
{
	struct asks *asks = service_asks(*s->service);
	struct memo_entry *entry = ask_owner(asks, ch, req);
	enum table_answer answer = TABLE_TROUBLE;

	if (entry == NULL)
		return;
	ask_end(asks, req);
	if (outcome == IPC_OK)
		answer = TABLE_YES;
	else if (outcome == IPC_GONE || outcome == IPC_FAIL)
		answer = TABLE_NO;
	memo_answer(entry, answer, address, service_now_ms(*s->service));
}
