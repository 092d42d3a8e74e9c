/* SPDX-License-Identifier: ISC */
/*
 * What a "listen on" means: one address, an interface's, or a name's.
 *
 * A name is asked of the host, which may take its time: at start and at a
 * reload, and only where smtpd.conf has one.  Nothing is fatal.
 */
#include "smtpd/listen_hosts.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/conf/conf.h"

static void
hosts_add(struct hosts *h, const struct sockaddr *sa, uint16_t port, int family)
{
	struct addr *a = &h->list[h->n];

	if (h->n == HOSTS_MAX || (family != AF_UNSPEC && sa->sa_family != family))
		return;
	memset(a, 0, sizeof(*a));
	if (sa->sa_family == AF_INET) {
		a->len = sizeof(struct sockaddr_in);
		memcpy(&a->ss, sa, a->len);
		((struct sockaddr_in *)&a->ss)->sin_port = htons(port);
	} else if (sa->sa_family == AF_INET6) {
		a->len = sizeof(struct sockaddr_in6);
		memcpy(&a->ss, sa, a->len);
		((struct sockaddr_in6 *)&a->ss)->sin6_port = htons(port);
	} else
		return;
	h->n++;
}

static void
hosts_of_interface(struct hosts *h, const struct conf_listener *l)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all) == -1)
		return;
	for (i = all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL && strcmp(i->ifa_name, l->host) == 0)
			hosts_add(h, i->ifa_addr, l->port, l->family);
	freeifaddrs(all);
}

static void
hosts_of_name(struct hosts *h, const struct conf_listener *l)
{
	struct addrinfo hints = {.ai_family = l->family, .ai_socktype = SOCK_STREAM}, *all, *i;

	if (getaddrinfo(l->host, NULL, &hints, &all) != 0)
		return;
	for (i = all; i != NULL; i = i->ai_next)
		hosts_add(h, i->ai_addr, l->port, l->family);
	freeaddrinfo(all);
}

void
hosts_find(struct hosts *h, const struct conf_listener *l)
{
	struct addr a;

	h->n = 0;
	if (addr_parse(l->host, l->port, &a) == 0)
		hosts_add(h, (const struct sockaddr *)&a.ss, l->port, l->family);
	else if (strcmp(l->host, "socket") != 0)
		hosts_of_interface(h, l);
	if (h->n == 0 && strcmp(l->host, "socket") != 0)
		hosts_of_name(h, l);
}
