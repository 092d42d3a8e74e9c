/* SPDX-License-Identifier: ISC */
/*
 * Mail that was handed in with SMTPUTF8, and may not need it (RFC 6531 3.2): domains have
 * A-labels where the local part is ASCII; where the header and the sender are ASCII too,
 * the message can go to these recipients by a server that knows nothing of SMTPUTF8.
 *
 * Invariants: a local part is never changed; what needs SMTPUTF8 keeps it.  Nothing is fatal.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/relay_private.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/idn.h"

/* -- addresses -- */

struct ascii_address {
	char text[ADDRESS_MAX + 1];
};

void
relay_ascii_free(struct relay *r)
{
	free(r->ascii);
	r->ascii = NULL;
}

/* An account, or the bare postmaster, has no domain. */
static int
to_ascii(const char *address, struct ascii_address *dst)
{
	if (strchr(address, '@') == NULL)
		return str_copy(dst->text, sizeof(dst->text), address);
	return idn_address_to_ascii(address, dst->text);
}

/* The recipients', "" where there is none, then the sender's.  -1: that has none, or no memory. */
static int
make_ascii(struct relay *r)
{
	size_t i, n = r->mail.nrcpts;

	if ((r->ascii = calloc(n + 1, sizeof(*r->ascii))) == NULL)
		return -1;
	for (i = 0; i < n; i++)
		if (to_ascii(r->addresses[i], &r->ascii[i]) == -1)
			r->ascii[i].text[0] = '\0';
	return to_ascii(r->mail.sender, &r->ascii[n]);
}

static void
use_ascii(struct relay *r)
{
	size_t i, n = r->mail.nrcpts;

	r->mail.is_utf8 = false;
	for (i = 0; i < n; i++)
		if (r->ascii[i].text[0] != '\0')
			r->addresses[i] = r->ascii[i].text;
		else
			r->mail.is_utf8 = r->mail.is_utf8_by_rcpts = true;
	r->mail.sender = r->ascii[n].text;
}

/* -- the header -- */

static bool
is_ascii(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] > 127)
			return false;
	return true;
}

static void
header_is_read(struct relay *r, bool ascii)
{
	body_stop(&r->body);
	if (ascii)
		use_ascii(r);
	relay_go_on(r);
}

static void
on_chunk(void *arg, struct span data)
{
	struct relay *r = arg;
	uint64_t before = r->scan_octets;
	size_t n = data.len;

	header_scan_feed(&r->scan, data.data, data.len);
	r->scan_octets += data.len;
	if (r->scan.done && r->scan.size < r->scan_octets)
		n = r->scan.size > before ? (size_t)(r->scan.size - before) : 0;
	if (!is_ascii(data.data, n))
		header_is_read(r, false);
	else if (r->scan.done)
		header_is_read(r, true);
}

static void
on_whole(void *arg)
{
	header_is_read(arg, true);
}

static void
on_broken(void *arg, enum cause why)
{
	relay_fail_by(arg, why, NULL);
}

static const struct body_callbacks reading = {on_chunk, on_whole, on_broken};

bool
relay_ascii_begin(struct relay *r, const struct conf_action *action)
{
	(void)action;
	if (!r->mail.is_utf8)
		return false;
	if (make_ascii(r) == -1) {
		relay_ascii_free(r);
		return false;
	}
	header_scan_init(&r->scan, NULL);
	r->body.callbacks = &reading;
	body_start(&r->body, &r->delivery->bodies);
	return true;
}
