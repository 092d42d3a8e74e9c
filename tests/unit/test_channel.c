/* SPDX-License-Identifier: ISC */
/*
 * A channel against a socket that the test writes to by hand: what breaks the
 * protocol ends it, with a reason; whatever happens, no descriptor is left
 * over and nothing is called after its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/ipc/channel.h"

#define FDS_MAX 60

/* We are a session process; the peer is the parent. */
struct rig {
	struct event_base *base;
	struct channel *ch;
	int peer, null;	    /* null: to be sent along */
	size_t descriptors; /* open before it all */
	unsigned int handled, closed, high, low;
	uint32_t last_req;
	int last_fd;
	bool keep_fd, free_inside, pause_inside;
};

static char last_line[LOG_LINE_MAX];

static size_t
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	str_cut(last_line, sizeof(last_line), line);
}

static void
on_any(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	r->handled++;
	r->last_req = msg->req;
	r->last_fd = fd;
	if (fd != -1 && !r->keep_fd)
		assert_int_equal(close(fd), 0);
	if (r->pause_inside)
		channel_pause(ch, true);
	if (r->free_inside) {
		r->ch = NULL;
		channel_free(ch);
	}
}

static void
on_close(void *ctx, struct channel *ch)
{
	struct rig *r = ctx;

	assert_ptr_equal(ch, r->ch);
	r->closed++;
	r->ch = NULL;
	channel_free(ch);
}

static void
on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct rig *r = ctx;

	(void)ch;
	if (high)
		r->high++;
	else
		r->low++;
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_listen] = on_any,
    [MSG_listen_clear] = on_any,
    [MSG_pause] = on_any,
    [MSG_conf_text] = on_any,
};

static const struct channel_rules rules = {
    .self = ROLE_SESSION, .handlers = handlers, .on_close = on_close, .on_pressure = on_pressure};

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	int pair[2];

	assert_non_null(r);
	log_set_sink(keep_line, NULL);
	last_line[0] = '\0';
	r->descriptors = count_descriptors();
	r->last_fd = -1;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->base = event_base_new();
	assert_non_null(r->base);
	r->ch = channel_create(r->base, pair[0], ROLE_PARENT, 0, &rules);
	assert_non_null(r->ch);
	channel_set_context(r->ch, r);
	r->peer = pair[1];
	r->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(r->null != -1);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	channel_free(r->ch);
	if (r->peer != -1)
		(void)close(r->peer);
	(void)close(r->null);
	event_base_free(r->base);
	assert_int_equal(count_descriptors(), r->descriptors);
	free(r);
	return 0;
}

static void
turn(struct rig *r)
{
	(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
}

static void
send_raw(struct rig *r, const void *data, size_t n, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = {.space = {0}};
	struct iovec iov = {(void *)(uintptr_t)data, n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	size_t i;

	if (nfds > 0) {
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &r->null, sizeof(r->null));
	}
	assert_int_equal(sendmsg(r->peer, &mh, MSG_NOSIGNAL), n);
}

static void
send_message(struct rig *r, enum message_type type, const void *msg, size_t nfds)
{
	struct buf b;

	buf_init(&b, MSG_FRAME_MAX);
	assert_int_equal(message_encode(type, msg, &b), 0);
	send_raw(r, buf_head(&b), b.len, nfds);
	buf_free(&b);
}

/* -- in -- */

static void
test_delivers(void **state)
{
	const struct msg_listen listen = {.req = 9, .index = 3};
	struct rig *r = *state;

	r->keep_fd = true;
	send_message(r, MSG_listen, &listen, 1);
	turn(r);
	assert_int_equal(r->handled, 1);
	assert_int_equal(r->last_req, 9);
	assert_true(r->last_fd > 2);
	assert_true((fcntl(r->last_fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)close(r->last_fd);
	assert_int_equal(r->closed, 0);
}

static void
test_any_split(void **state)
{
	const struct msg_listen listen = {.index = 3};
	const struct msg_pause pause = {.req = 7};
	struct rig *r = *state;
	struct buf b;
	size_t i;

	buf_init(&b, MSG_FRAME_MAX);
	assert_int_equal(message_encode(MSG_listen, &listen, &b), 0);
	assert_int_equal(message_encode(MSG_pause, &pause, &b), 0);
	for (i = 0; i < b.len; i++) {
		send_raw(r, buf_head(&b) + i, 1, i == 0);
		turn(r);
	}
	buf_free(&b);
	assert_int_equal(r->handled, 2);
	assert_int_equal(r->last_req, 7);
	assert_int_equal(r->closed, 0);
}

static void
test_many_in_one_read(void **state)
{
	const struct msg_pause pause = {.req = 1};
	struct rig *r = *state;
	unsigned int i;

	for (i = 0; i < 100; i++)
		send_message(r, MSG_pause, &pause, 0);
	turn(r);
	assert_int_equal(r->handled, 100);
}

static void
test_breaches(void **state)
{
	static const struct msg_pause pause;
	static const struct msg_listen listen;
	static const struct msg_stats stats;
	static const struct msg_drain drain;
	static const struct {
		enum message_type type;
		const void *msg;
		size_t nfds;
		const char *why;
	} cases[] = {
	    {MSG_pause, &pause, 1, "unexpected descriptor"},
	    {MSG_pause, &pause, 8, "unexpected descriptor"},
	    {MSG_pause, &pause, 9, "too many descriptors"},
	    {MSG_pause, &pause, FDS_MAX, "too many descriptors"},
	    {MSG_listen, &listen, 0, "descriptor missing"},
	    {MSG_listen, &listen, 2, "unexpected descriptor"},
	    {MSG_stats, &stats, 0, "message not allowed"}, /* control's to send */
	    {MSG_drain, &drain, 0, "no handler"},
	};
	struct rig *r;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		if (i > 0)
			assert_int_equal(setup(state), 0);
		r = *state;
		send_message(r, cases[i].type, cases[i].msg, cases[i].nfds);
		turn(r);
		if (r->closed != 1 || strstr(last_line, cases[i].why) == NULL)
			fail_msg("case %zu: closed %u, log: %s", i, r->closed, last_line);
		assert_non_null(strstr(last_line, "event=peer-cut-off peer=parent"));
		if (i + 1 < NITEMS(cases))
			assert_int_equal(teardown(state), 0);
	}
}

static void
test_garbage(void **state)
{
	struct rig *r = *state;
	uint8_t octets[64];

	memset(octets, 0xff, sizeof(octets));
	send_raw(r, octets, sizeof(octets), 0);
	turn(r);
	assert_int_equal(r->closed, 1);
	assert_non_null(strstr(last_line, "not a frame"));
}

static void
test_half_a_frame_then_gone(void **state)
{
	const struct msg_listen listen = {.index = 3};
	struct rig *r = *state;
	struct buf b;

	buf_init(&b, MSG_FRAME_MAX);
	assert_int_equal(message_encode(MSG_listen, &listen, &b), 0);
	send_raw(r, buf_head(&b), b.len - 1, 1);
	buf_free(&b);
	turn(r);
	assert_int_equal(r->closed + r->handled, 0);
	(void)close(r->peer);
	r->peer = -1;
	turn(r);
	assert_int_equal(r->closed, 1);
	assert_int_equal(r->handled, 0);
}

static void
test_free_inside(void **state)
{
	const struct msg_pause pause = {.req = 1};
	struct rig *r = *state;

	r->free_inside = true;
	send_message(r, MSG_pause, &pause, 0);
	send_message(r, MSG_pause, &pause, 0);
	turn(r);
	turn(r);
	assert_int_equal(r->handled, 1);
	assert_int_equal(r->closed, 0);
}

static void
test_pause(void **state)
{
	const struct msg_pause pause = {.req = 1};
	struct rig *r = *state;

	r->pause_inside = true;
	send_message(r, MSG_pause, &pause, 0);
	turn(r);
	send_message(r, MSG_pause, &pause, 0);
	turn(r);
	assert_int_equal(r->handled, 1);
	channel_pause(r->ch, false);
	turn(r);
	assert_int_equal(r->handled, 2);
}

/* What a dead peer had written is heard before its end is. */
static void
test_drain(void **state)
{
	const struct msg_pause pause = {.req = 1};
	struct rig *r = *state;

	send_message(r, MSG_pause, &pause, 0);
	(void)close(r->peer);
	r->peer = -1;
	channel_drain(r->ch);
	assert_int_equal(r->handled, 1);
	if (r->ch != NULL)
		channel_drain(r->ch);
	assert_int_equal(r->closed, 1);
}

/* -- out -- */

static size_t
read_peer(const struct rig *r)
{
	uint8_t space[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(r->peer, space, sizeof(space), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

static void
test_pressure(void **state)
{
	static char line[2001];
	struct msg_log m = {.level = 1, .line = line};
	struct rig *r = *state;
	unsigned int n;

	memset(line, 'x', sizeof(line) - 1);
	for (n = 0; r->high == 0; n++) {
		assert_true(n < 10000);
		assert_int_equal(channel_send(r->ch, MSG_log, &m), 0);
	}
	assert_true(channel_pending_bytes(r->ch) > CHANNEL_HIGH);
	assert_int_equal(r->low, 0);
	while (r->low == 0) {
		(void)read_peer(r);
		turn(r);
	}
	assert_int_equal(r->high, 1);
	assert_true(channel_pending_bytes(r->ch) <= CHANNEL_LOW);
}

/* Cut off, but not inside of the sender: it may go on with what it holds. */
static void
test_a_peer_that_does_not_read(void **state)
{
	static char line[2001];
	struct msg_log m = {.level = 1, .line = line};
	struct rig *r = *state;
	unsigned int n = 0;

	memset(line, 'x', sizeof(line) - 1);
	while (channel_send(r->ch, MSG_log, &m) == 0)
		n++;
	assert_true(n > 1000 && (size_t)n * 2000 < CHANNEL_MAX + (1U << 20));
	assert_int_equal(r->closed, 0);
	assert_int_equal(channel_send(r->ch, MSG_log, &m), -1);
	assert_int_equal(errno, EPIPE);
	turn(r);
	assert_int_equal(r->closed, 1);
	assert_non_null(strstr(last_line, "does not read"));
}

/* A descriptor is taken over in any case: also where it can't be sent any more. */
static void
test_refused_descriptor(void **state)
{
	const struct msg_log log = {.level = 1, .line = "x"};
	struct msg_seccomp_listener m = {0};
	struct rig *r = *state;
	size_t before = count_descriptors();
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	while (channel_send(r->ch, MSG_log, &log) == 0)
		;
	assert_int_equal(channel_send_fd(r->ch, MSG_seccomp_listener, &m, fd), -1);
	assert_int_equal(count_descriptors(), before);
}

static void
test_descriptors_keep_their_order(void **state)
{
	struct msg_seccomp_listener m = {0};
	struct msg_log log = {.level = 1, .line = "between"};
	struct rig *r = *state;
	unsigned int i;
	int fd;

	for (i = 0; i < 5; i++) {
		assert_int_equal(channel_send(r->ch, MSG_log, &log), 0);
		assert_true((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1);
		assert_int_equal(channel_send_fd(r->ch, MSG_seccomp_listener, &m, fd), 0);
	}
	channel_flush(r->ch);
	assert_int_equal(channel_pending_bytes(r->ch), 0);
	assert_int_equal(read_peer(r), 5 * (MSG_HEADER_SIZE * 2 + 1 + 2 + strlen("between") + 1));
}

static void
test_out_of_bounds(void **state)
{
	static char line[2050];
	struct msg_log m = {.level = 1, .line = line};
	struct rig *r = *state;

	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(channel_send(r->ch, MSG_log, &m), -1);
	assert_int_equal(errno, EINVAL);
	m.line = "short";
	assert_int_equal(channel_send(r->ch, MSG_log, &m), 0);
	turn(r);
	assert_int_equal(r->closed, 0);
}

static void
test_a_peer_that_is_gone(void **state)
{
	struct msg_log m = {.level = 1, .line = "anybody?"};
	struct rig *r = *state;

	(void)close(r->peer);
	r->peer = -1;
	(void)channel_send(r->ch, MSG_log, &m);
	turn(r);
	assert_int_equal(r->closed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_delivers),
	    TEST(test_any_split),
	    TEST(test_many_in_one_read),
	    TEST(test_breaches),
	    TEST(test_garbage),
	    TEST(test_half_a_frame_then_gone),
	    TEST(test_free_inside),
	    TEST(test_pause),
	    TEST(test_drain),
	    TEST(test_pressure),
	    TEST(test_a_peer_that_does_not_read),
	    TEST(test_refused_descriptor),
	    TEST(test_descriptors_keep_their_order),
	    TEST(test_out_of_bounds),
	    TEST(test_a_peer_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
