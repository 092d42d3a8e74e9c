/* SPDX-License-Identifier: ISC */
/*
 * What the benchmark's clients share.  Fatal is what keeps a client from being
 * as many as it was asked to be.
 */
#include "tests/bench/common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"

#define SESSIONS_AN_ADDRESS 1000

uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void
descriptors_raise(uint64_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		fatal("getrlimit: %s", strerror(errno));
	if (limit.rlim_cur >= n)
		return;
	limit.rlim_cur = n;
	if (limit.rlim_max < n) /* root may */
		limit.rlim_max = n;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		fatal("%" PRIu64 " descriptors: %s", n, strerror(errno));
}

static struct sockaddr_in
loopback(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl((UINT32_C(127) << 24) + host)};
}

int
client_connect(size_t client, uint16_t port)
{
	struct sockaddr_in to = loopback(1, port);
	struct sockaddr_in from = loopback(1 + (uint32_t)(client / SESSIONS_AN_ADDRESS), 0);
	const int one = 1;
	int fd, saved;

	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	/* Without TCP_NODELAY what follows a handshake waits for a delayed acknowledgement. */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS))
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

bool
reply_whole(const char *in, size_t n, int *code)
{
	const char *line = in, *end;

	while ((end = memchr(line, '\n', n - (size_t)(line - in))) != NULL) {
		if (end - line >= 4 && line[3] != '-') {
			*code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
			return true;
		}
		line = end + 1;
	}
	return false;
}
