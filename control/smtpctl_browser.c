/* SPDX-License-Identifier: ISC */
/*
 * Waits for a browser, or for somebody who pastes what it came to.
 *
 * Invariants: what comes without the state that the server was given, or is no
 * redirection at all, is answered and changes nothing; who says nothing is
 * closed after some seconds.  Nothing is started, and nothing is kept.
 */
#include "control/smtpctl_browser.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/base/time.h"

#define PORT_ATTEMPTS 16

/* -- the port -- */

/*
 * A port that was used a moment ago will do, but for one that is only kept from others: two that
 * say so may have it both, until one listens.
 */
static int
listen_on(const struct sockaddr *sa, socklen_t len, bool deaf)
{
	int fd, again = !deaf, error;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &again, sizeof(again)) == 0 &&
	    bind(fd, sa, len) == 0 && (deaf || listen(fd, BROWSER_VISITORS_MAX) == 0))
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static int
open_ports(struct browser *b, uint16_t port, bool both, bool deaf)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(v4);

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b->listeners[0] = listen_on((const struct sockaddr *)&v4, sizeof(v4), deaf);
	if (b->listeners[0] == -1 ||
	    getsockname(b->listeners[0], (struct sockaddr *)&v4, &len) == -1)
		return -1;
	b->port = ntohs(v4.sin_port);
	v6.sin6_port = v4.sin_port;
	if (both)
		b->listeners[1] = listen_on((const struct sockaddr *)&v6, sizeof(v6), deaf);
	/* A host without IPv6 has nobody else there; a port that somebody else has would not do. */
	return both && b->listeners[1] == -1 && errno == EADDRINUSE ? -1 : 0;
}

int
browser_open(struct browser *b, uint16_t port, bool both, bool deaf)
{
	int i, attempt, error;

	memset(b, 0, sizeof(*b));
	b->input = b->listeners[0] = b->listeners[1] = -1;
	b->deaf = deaf;
	for (i = 0; i < BROWSER_VISITORS_MAX; i++)
		b->visitors[i].fd = -1;
	for (attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
		if (open_ports(b, port, both, deaf) == 0)
			return 0;
		error = errno;
		browser_close(b);
		errno = error;
		if (port != 0 || errno != EADDRINUSE)
			break;
	}
	return -1;
}

static void
visitor_close(struct visitor *v)
{
	if (v->fd != -1)
		(void)close(v->fd);
	v->fd = -1;
	explicit_bzero(v->head, v->len);
	v->len = 0;
}

void
browser_close(struct browser *b)
{
	int i;

	for (i = 0; i < BROWSER_VISITORS_MAX; i++)
		visitor_close(&b->visitors[i]);
	for (i = 0; i < 2; i++) {
		if (b->listeners[i] != -1)
			(void)close(b->listeners[i]);
		b->listeners[i] = -1;
	}
	explicit_bzero(b->line, b->line_len);
	b->line_len = 0;
}

/* -- who comes -- */

static struct visitor *
free_place(struct browser *b)
{
	struct visitor *oldest = &b->visitors[0];
	int i;

	for (i = 0; i < BROWSER_VISITORS_MAX; i++) {
		if (b->visitors[i].fd == -1)
			return &b->visitors[i];
		if (b->visitors[i].until_ms < oldest->until_ms)
			oldest = &b->visitors[i];
	}
	visitor_close(oldest);
	return oldest;
}

static void
visitor_accept(struct browser *b, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct visitor *v;

	if (fd == -1)
		return;
	v = free_place(b);
	v->fd = fd;
	v->until_ms = time_mono_ms() + BROWSER_VISIT_MS;
}

/* The answer is short: it goes out at once, or not at all. */
static void
visitor_answer(struct visitor *v, const char *status, const char *words)
{
	char page[512], text[1024];

	(void)snprintf(page, sizeof(page),
	    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Postern</title>"
	    "<p>%s</p></html>\n",
	    words);
	(void)snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
	    "Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\n"
	    "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
	    status, strlen(page), page);
	(void)send(v->fd, text, strlen(text), MSG_NOSIGNAL);
	(void)shutdown(v->fd, SHUT_WR);
	visitor_close(v);
}

static bool
is_ours(const struct redirect *got, const char *state)
{
	return got->state[0] != '\0' && strcmp(got->state, state) == 0;
}

/* true: that was it, and got and *end say what. */
static bool
visitor_judge(struct visitor *v, const char *state, struct redirect *got, enum browser_end *end)
{
	enum redirect_kind kind = redirect_of_request(v->head, v->len, got);

	if (kind == REDIRECT_NONE)
		visitor_answer(v, "404 Not Found", "There is nothing here.");
	else if (!is_ours(got, state))
		visitor_answer(v, "400 Bad Request", "That belongs to another login.");
	else if (kind == REDIRECT_ERROR)
		visitor_answer(v, "200 OK", "No consent was given. You may close this page.");
	else
		visitor_answer(v, "200 OK",
		    "Thank you. What comes of it is told where smtpctl runs. "
		    "You may close this page.");
	*end = kind == REDIRECT_ERROR ? BROWSER_REFUSED : BROWSER_CODE;
	return kind != REDIRECT_NONE && is_ours(got, state);
}

static bool
visitor_read(struct visitor *v, const char *state, struct redirect *got, enum browser_end *end)
{
	ssize_t n = recv(v->fd, v->head + v->len, sizeof(v->head) - v->len, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		visitor_close(v);
		return false;
	}
	v->len += (size_t)n;
	if (memmem(v->head, v->len, "\r\n\r\n", 4) != NULL)
		return visitor_judge(v, state, got, end);
	if (v->len == sizeof(v->head))
		visitor_answer(v, "431 Request Header Fields Too Large", "That is too long.");
	return false;
}

/* -- what is pasted -- */

/* A code that came without a state is for this login: somebody who may have it pasted it here. */
static bool
paste_judge(
    const char *line, size_t len, const char *state, struct redirect *got, enum browser_end *end)
{
	enum redirect_kind kind = redirect_of_paste(line, len, got);

	if (kind == REDIRECT_CODE && got->state[0] == '\0')
		str_cut(got->state, sizeof(got->state), state);
	*end = kind == REDIRECT_ERROR ? BROWSER_REFUSED : BROWSER_CODE;
	if (kind == REDIRECT_ERROR || (kind == REDIRECT_CODE && is_ours(got, state)))
		return true;
	if (len > 1)
		(void)fputs(kind == REDIRECT_CODE
				? "smtpctl: that belongs to another login; try again\n"
				: "smtpctl: that is neither such a URL nor a code; try again\n",
		    stderr);
	return false;
}

static bool
paste_read(struct browser *b, const char *state, struct redirect *got, enum browser_end *end)
{
	ssize_t n = read(b->input, b->line + b->line_len, sizeof(b->line) - b->line_len);
	char *stop;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0)
		b->line_len += (size_t)n;
	while ((stop = memchr(b->line, '\n', b->line_len)) != NULL ||
	       (b->line_len > 0 && (n <= 0 || b->line_len == sizeof(b->line)))) {
		size_t len = stop == NULL ? b->line_len : (size_t)(stop + 1 - b->line);

		if (paste_judge(b->line, len, state, got, end))
			return true;
		memmove(b->line, b->line + len, b->line_len - len);
		b->line_len -= len;
	}
	if (n <= 0)
		b->input = -1;
	return false;
}

/* -- the wait -- */

#define POLLS_MAX (2 + 1 + BROWSER_VISITORS_MAX)

/* Closes who was silent for too long; how long to wait for the others. */
static int
next_look_ms(struct browser *b, int64_t now_ms, int64_t until_ms)
{
	int i;

	for (i = 0; i < BROWSER_VISITORS_MAX; i++) {
		struct visitor *v = &b->visitors[i];

		if (v->fd != -1 && v->until_ms <= now_ms)
			visitor_close(v);
		else if (v->fd != -1 && v->until_ms < until_ms)
			until_ms = v->until_ms;
	}
	return until_ms - now_ms > 60000 ? 60000 : (int)(until_ms - now_ms);
}

/* A descriptor of -1 is passed over by poll(). */
static void
fill_polls(const struct browser *b, struct pollfd polls[POLLS_MAX])
{
	int i;

	for (i = 0; i < 2; i++)
		polls[i] = (struct pollfd){.fd = b->deaf ? -1 : b->listeners[i], .events = POLLIN};
	polls[2] = (struct pollfd){.fd = b->input, .events = POLLIN};
	for (i = 0; i < BROWSER_VISITORS_MAX; i++)
		polls[3 + i] = (struct pollfd){.fd = b->visitors[i].fd, .events = POLLIN};
}

static bool
serve(struct browser *b, const struct pollfd polls[POLLS_MAX], const char *state,
    struct redirect *got, enum browser_end *end)
{
	int i;

	for (i = 0; i < BROWSER_VISITORS_MAX; i++)
		if (polls[3 + i].revents != 0 && b->visitors[i].fd == polls[3 + i].fd &&
		    visitor_read(&b->visitors[i], state, got, end))
			return true;
	if (polls[2].revents != 0 && paste_read(b, state, got, end))
		return true;
	for (i = 0; i < 2; i++)
		if (polls[i].revents != 0)
			visitor_accept(b, b->listeners[i]);
	return false;
}

enum browser_end
browser_wait(struct browser *b, const char *state, int64_t until_ms, struct redirect *got)
{
	struct pollfd polls[POLLS_MAX];
	enum browser_end end;
	int64_t now_ms;

	while ((now_ms = time_mono_ms()) < until_ms) {
		if (b->input == -1 && b->deaf)
			return BROWSER_NOBODY;
		fill_polls(b, polls);
		if (poll(polls, POLLS_MAX, next_look_ms(b, now_ms, until_ms)) == -1) {
			if (errno == EINTR)
				continue;
			return BROWSER_FAILED;
		}
		if (serve(b, polls, state, got, &end))
			return end;
	}
	return BROWSER_LATE;
}
