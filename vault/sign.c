/* SPDX-License-Identifier: ISC */
/*
 * Signatures for TLS handshakes.
 *
 * Invariant: of questions that come together a process has one answered a turn
 * of the loop; one that asks for thousands at once delays nobody by more than
 * that.  Nothing is fatal.
 */
#include "vault/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "vault/keys.h"
#include "vault/vault.h"

struct sign_links {
	struct channel *ch[IPC_INSTANCES_MAX];
	bool rests[IPC_INSTANCES_MAX]; /* had its signature of this turn */
};

struct sign_links *
sign_links_create(void)
{
	return calloc(1, sizeof(struct sign_links));
}

void
sign_links_free(struct sign_links *s)
{
	free(s);
}

static void
sign_answer(struct vault *v, struct channel *ch, const struct msg_sign *m)
{
	struct msg_signature answer = {.req = m->req, .outcome = IPC_FAIL};
	uint8_t signature[IPC_SIGN_MAX];
	size_t len;

	if (keys_sign(v->keys, m, signature, &len) == 0) {
		answer.outcome = IPC_OK;
		answer.data = (struct span){signature, len};
	}
	(void)channel_send(ch, MSG_signature, &answer);
}

static void
on_sign(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;

	(void)fd;
	sign_answer(v, ch, &msg->sign);
	/* Who waits for each answer asks for no more than one in any case. */
	if (!channel_has_more(ch))
		return;
	v->signs->rests[channel_instance(ch)] = true;
	channel_pause(ch, true);
}

static void
on_close(void *ctx, struct channel *ch)
{
	struct vault *v = ctx;

	v->signs->ch[channel_instance(ch)] = NULL;
	v->signs->rests[channel_instance(ch)] = false;
	channel_free(ch);
}

static const channel_handler handlers[MSG__MAX] = {[MSG_sign] = on_sign};

/* Nothing is gathered: somebody waits. */
static const struct channel_rules rules = {
    .self = ROLE_VAULT, .handlers = handlers, .on_close = on_close};

void
sign_link(struct vault *v, uint32_t instance, int fd)
{
	struct channel *ch;

	channel_free(v->signs->ch[instance]);
	v->signs->ch[instance] = NULL;
	v->signs->rests[instance] = false;
	ch = channel_create(service_base(v->service), fd, ROLE_SESSION, instance, &rules);
	if (ch == NULL) {
		log_warn(
		    "event=sign-link-failed instance=%u error=\"%s\"", instance, strerror(errno));
		(void)close(fd);
		return;
	}
	channel_set_context(ch, v);
	v->signs->ch[instance] = ch;
}

void
sign_links_run(struct vault *v)
{
	struct sign_links *s = v->signs;
	size_t i;

	for (i = 0; i < NITEMS(s->ch); i++)
		if (s->rests[i]) {
			s->rests[i] = false;
			channel_pause(s->ch[i], false);
		}
}
