/* SPDX-License-Identifier: ISC */
/*
 * Our own addresses: those of the listeners, and for those that listen on all
 * of this host, or on an interface, what the kernel says.
 *
 * Invariant: nothing is sent.  What the kernel would not say is not ours.
 * Nothing is fatal.
 */
#include "lookup/self.h"

#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

static bool
is_bindable(const struct addr *a)
{
	int fd = socket(a->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool can;

	if (fd == -1)
		return false;
	can = bind(fd, (const struct sockaddr *)&a->ss, a->len) == 0;
	(void)close(fd);
	return can;
}

/*
 * A socket can be bound to the addresses of this host and to no others; unless the
 * kernel was told to take any (ip_nonlocal_bind), when it takes one that nobody has.
 */
static bool
is_of_this_host(const struct addr *a)
{
	const char *nobodys = a->ss.ss_family == AF_INET ? "240.0.0.1" : "2001:db8:ffff::ffff";
	struct addr nobody, host;
	char text[ADDR_TEXT_MAX];

	addr_format(a, text);
	return addr_is_loopback(a) ||
	       (addr_parse(text, 0, &host) == 0 && is_bindable(&host) &&
		   addr_parse(nobodys, 0, &nobody) == 0 && !is_bindable(&nobody));
}

/* "0.0.0.0" and "::" */
static bool
is_any(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	addr_format(a, text);
	return strcmp(text, "0.0.0.0") == 0 || strcmp(text, "::") == 0;
}

static bool
listens(const struct conf_listener *l, const struct addr *a)
{
	struct addr own;

	if (l->socket || l->unix_path || l->port != addr_port(a) ||
	    (l->family != AF_UNSPEC && l->family != a->ss.ss_family))
		return false;
	if (strcmp(l->host, "localhost") == 0)
		return addr_is_loopback(a);
	if (addr_parse(l->host, l->port, &own) == -1) /* the name of an interface or a host */
		return is_of_this_host(a);
	if (is_any(&own))
		return own.ss.ss_family == a->ss.ss_family && is_of_this_host(a);
	return addr_equal(&own, a);
}

bool
self_listens(const struct conf *conf, const struct addr *a)
{
	size_t i;

	for (i = 0; i < conf->nlisteners; i++)
		if (listens(&conf->listeners[i], a))
			return true;
	return false;
}
