/* SPDX-License-Identifier: ISC */
/*
 * The codec against the whole table: every message at its bounds, one over
 * each of them, broken in each way a frame can be broken, from and to
 * everybody.  Frames are written here by hand, not by the encoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ipc/message.h"

#define REQ	 0x81020304U
#define NONE	 SIZE_MAX
#define TEXT_MAX (IPC_CHUNK_MAX + 1)

enum edge { LOW, HIGH, NEGATIVE, OVER };

static char text[TEXT_MAX + 1]; /* as many octets as any bound allows, and one */

static int
fill_text(void **state)
{
	(void)state;
	memset(text, 'x', TEXT_MAX);
	return 0;
}

/* -- frames by hand -- */

static const size_t widths[] = {[KIND_U8] = 1,
    [KIND_U16] = 2,
    [KIND_U32] = 4,
    [KIND_U64] = 8,
    [KIND_I64] = 8,
    [KIND_BOOL] = 1,
    [KIND_STR] = 2,
    [KIND_BYTES] = 4};

static void
put(struct buf *b, uint64_t v, size_t width)
{
	uint8_t octet;

	for (; width > 0; width--, v >>= 8) {
		octet = (uint8_t)v;
		assert_int_equal(buf_append(b, &octet, 1), 0);
	}
}

static uint64_t
number_at(const struct message_field *f, enum edge edge)
{
	switch (edge) {
	case LOW:
		break;
	case HIGH:
		return f->bound;
	case NEGATIVE:
		return f->kind == KIND_I64 ? -f->bound : f->bound;
	case OVER:
		return f->bound + 1;
	}
	return 0;
}

static void
put_field(struct buf *b, const struct message_field *f, enum edge edge)
{
	uint64_t v = number_at(f, edge);

	put(b, v, widths[f->kind]);
	if (f->kind == KIND_STR || f->kind == KIND_BYTES)
		assert_int_equal(buf_append(b, text, v), 0);
	if (f->kind == KIND_STR)
		put(b, 0, 1);
}

static void
set_length(struct buf *b, size_t length)
{
	size_t i;

	for (i = 0; i < 4; i++)
		b->data[b->head + i] = (uint8_t)(length >> (8 * i));
}

/* A frame of this type with all fields at one edge, but field `odd` over its bound. */
static void
put_frame(struct buf *b, enum message_type type, enum edge edge, size_t odd)
{
	const struct message_field *f;
	size_t n, i;

	buf_init(b, 1U << 20);
	put(b, 0, 4);
	put(b, type, 2);
	put(b, message_wants_fd(type), 1);
	put(b, 0, 1);
	put(b, REQ, 4);
	f = message_fields(type, &n);
	for (i = 0; i < n; i++)
		put_field(b, &f[i], i == odd ? OVER : edge);
	set_length(b, b->len);
}

/* 0 when header and decoder take it, exactly as long as it is: one octet too far is seen. */
static int
take(const struct buf *b, union message *out)
{
	struct message_header h;
	uint8_t *copy = malloc(b->len + 1);
	int rc = -1;

	assert_non_null(copy);
	memcpy(copy, buf_head(b), b->len);
	copy = realloc(copy, b->len);
	assert_non_null(copy);
	errno = 0;
	if (message_header(copy, b->len, &h) == 0 && h.req == REQ)
		rc = message_decode(&h, copy, out);
	if (rc == -1)
		assert_int_equal(errno, EPROTO);
	free(copy);
	return rc;
}

/* -- structs, slot by slot -- */

static uint8_t *
slot(union message *m, size_t i)
{
	return (uint8_t *)m + MSG_SLOT * (i + 1);
}

static void
set_slot(union message *m, size_t i, const struct message_field *f, enum edge edge)
{
	uint64_t v = number_at(f, edge);
	struct span bytes = {(const uint8_t *)text, v};
	const char *s;

	switch (f->kind) {
	case KIND_STR:
		s = text + (TEXT_MAX - v);
		memcpy(slot(m, i), &s, sizeof(s));
		break;
	case KIND_BYTES:
		memcpy(slot(m, i), &bytes, sizeof(bytes));
		break;
	default:
		memcpy(slot(m, i), &v, widths[f->kind]);
	}
}

static void
set_message(union message *m, enum message_type type, enum edge edge, size_t odd)
{
	const struct message_field *f;
	size_t n, i;

	memset(m, 0, sizeof(*m));
	m->req = REQ;
	f = message_fields(type, &n);
	for (i = 0; i < n; i++)
		set_slot(m, i, &f[i], i == odd ? OVER : edge);
}

/* Can a field of this kind hold a value above its bound at all? */
static bool
can_exceed(const struct message_field *f)
{
	static const uint64_t largest[] = {[KIND_U8] = UINT8_MAX,
	    [KIND_U16] = UINT16_MAX,
	    [KIND_U32] = UINT32_MAX,
	    [KIND_U64] = UINT64_MAX,
	    [KIND_I64] = UINT64_MAX,
	    [KIND_BOOL] = UINT8_MAX,
	    [KIND_STR] = UINT16_MAX,
	    [KIND_BYTES] = UINT32_MAX};

	return f->bound < largest[f->kind];
}

/* -- tests -- */

static void
check_edge(enum message_type type, enum edge edge)
{
	struct buf by_hand, encoded;
	union message m;

	put_frame(&by_hand, type, edge, NONE);
	assert_true(by_hand.len <= MSG_FRAME_MAX);
	set_message(&m, type, edge, NONE);
	buf_init(&encoded, 1U << 20);
	assert_int_equal(message_encode(type, &m, &encoded), 0);
	assert_int_equal(encoded.len, by_hand.len);
	assert_memory_equal(buf_head(&encoded), buf_head(&by_hand), by_hand.len);
	assert_int_equal(take(&by_hand, &m), 0);
	assert_int_equal(m.req, REQ);
	buf_free(&by_hand);
	buf_free(&encoded);
}

static void
test_round_trip(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		check_edge((enum message_type)type, LOW);
		check_edge((enum message_type)type, HIGH);
		check_edge((enum message_type)type, NEGATIVE);
	}
}

/* What was decoded is what was written: encoding it again gives the same octets. */
static void
test_decoded_is_the_same(void **state)
{
	struct message_header h;
	struct buf frame, again;
	union message m;
	unsigned int type;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		put_frame(&frame, (enum message_type)type, HIGH, NONE);
		assert_int_equal(message_header(buf_head(&frame), frame.len, &h), 0);
		assert_int_equal(message_decode(&h, buf_head(&frame), &m), 0);
		buf_init(&again, 1U << 20);
		assert_int_equal(message_encode(h.type, &m, &again), 0);
		assert_int_equal(again.len, frame.len);
		assert_memory_equal(buf_head(&again), buf_head(&frame), frame.len);
		buf_free(&frame);
		buf_free(&again);
	}
}

static void
check_over(enum message_type type, size_t odd)
{
	struct buf frame;
	union message m;

	put_frame(&frame, type, LOW, odd);
	assert_int_equal(take(&frame, &m), -1);
	buf_free(&frame);
	/* A struct's own type is the bound of some: bool has no value above true. */
	set_message(&m, type, LOW, odd);
	buf_init(&frame, 1U << 20);
	assert_int_equal(buf_append_str(&frame, "before"), 0);
	assert_int_equal(message_encode(type, &m, &frame), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(frame.len, strlen("before"));
	buf_free(&frame);
}

static void
check_over_bool(enum message_type type, size_t odd)
{
	struct buf frame;
	union message m;

	put_frame(&frame, type, LOW, odd);
	assert_int_equal(take(&frame, &m), -1);
	buf_free(&frame);
}

static void
test_one_over_each_bound(void **state)
{
	const struct message_field *f;
	unsigned int type, checked = 0;
	size_t n, i;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		f = message_fields((enum message_type)type, &n);
		for (i = 0; i < n; i++) {
			if (!can_exceed(&f[i]))
				continue;
			if (f[i].kind == KIND_BOOL)
				check_over_bool((enum message_type)type, i);
			else
				check_over((enum message_type)type, i);
			checked++;
		}
	}
	assert_true(checked > 100);
}

/* Where field i begins in a frame with all fields at HIGH. */
static size_t
offset_of(const struct message_field *f, size_t i)
{
	size_t at = MSG_HEADER_SIZE, k;

	for (k = 0; k < i; k++) {
		at += widths[f[k].kind];
		if (f[k].kind == KIND_STR)
			at += f[k].bound + 1;
		else if (f[k].kind == KIND_BYTES)
			at += f[k].bound;
	}
	return at;
}

static void
check_refused_with(enum message_type type, size_t at, uint8_t octet)
{
	struct buf frame;
	union message m;

	put_frame(&frame, type, HIGH, NONE);
	frame.data[frame.head + at] = octet;
	assert_int_equal(take(&frame, &m), -1);
	buf_free(&frame);
}

static void
test_text_is_terminated_and_whole(void **state)
{
	const struct message_field *f;
	unsigned int type;
	size_t n, i, at;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		f = message_fields((enum message_type)type, &n);
		for (i = 0; i < n; i++) {
			if (f[i].kind != KIND_STR)
				continue;
			at = offset_of(f, i) + widths[KIND_STR];
			check_refused_with((enum message_type)type, at, 0);
			check_refused_with((enum message_type)type, at + f[i].bound / 2, 0);
			check_refused_with((enum message_type)type, at + f[i].bound - 1, 0);
			check_refused_with((enum message_type)type, at + f[i].bound, 'x');
		}
	}
}

static void
check_lengths(enum message_type type, enum edge edge, size_t step)
{
	struct message_header h;
	struct buf frame;
	union message m;
	size_t whole, n;

	put_frame(&frame, type, edge, NONE);
	whole = frame.len;
	/* Too short by any number, whether the length says so or the rest is missing. */
	for (n = 0; n < whole; n += step) {
		frame.len = n;
		set_length(&frame, whole);
		assert_int_equal(message_header(buf_head(&frame), n, &h), 1);
		set_length(&frame, n);
		assert_int_equal(
		    message_header(buf_head(&frame), whole, &h), n < MSG_HEADER_SIZE ? -1 : 0);
		if (n >= MSG_HEADER_SIZE)
			assert_int_equal(take(&frame, &m), -1);
	}
	frame.len = whole;
	put(&frame, 0, 1);
	set_length(&frame, whole + 1);
	assert_int_equal(take(&frame, &m), -1);
	buf_free(&frame);
}

static void
test_exact_length(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		check_lengths((enum message_type)type, LOW, 1);
		check_lengths((enum message_type)type, HIGH, 611);
	}
}

static void
test_header(void **state)
{
	/* Octets of the header that are replaced; lock has no fields, no descriptor. */
	static const struct {
		size_t at, n;
		uint8_t octets[4];
		int rc;
	} cases[] = {
	    {0, 4, {12, 0, 0, 0}, 0},
	    {0, 4, {13, 0, 0, 0}, 1},
	    {0, 4, {0, 0, 0, 0}, -1},
	    {0, 4, {11, 0, 0, 0}, -1},
	    {0, 4, {MSG_FRAME_MAX & 0xff, MSG_FRAME_MAX >> 8, 0, 0}, 1},
	    {0, 4, {(MSG_FRAME_MAX + 1) & 0xff, (MSG_FRAME_MAX + 1) >> 8, 0, 0}, -1},
	    {0, 4, {0, 0, 0, 0x80}, -1},
	    {0, 4, {0xff, 0xff, 0xff, 0xff}, -1},
	    {4, 2, {MSG__MAX, 0}, -1},
	    {4, 2, {MSG_lock, 1}, -1},
	    {4, 2, {0xff, 0xff}, -1},
	    {4, 2, {MSG_link, 0}, -1}, /* wants a descriptor, which the header denies */
	    {6, 1, {1}, -1},	       /* the other way round */
	    {6, 1, {2}, -1},
	    {6, 1, {0xff}, -1},
	    {7, 1, {1}, -1},
	    {7, 1, {0x80}, -1},
	};
	struct message_header h;
	struct buf frame;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		put_frame(&frame, MSG_lock, LOW, NONE);
		memcpy(frame.data + frame.head + cases[i].at, cases[i].octets, cases[i].n);
		if (message_header(buf_head(&frame), frame.len, &h) != cases[i].rc)
			fail_msg("header case %zu", i);
		/* What can't be a frame is refused before the rest of it is waited for. */
		assert_int_equal(message_header(buf_head(&frame), MSG_HEADER_SIZE - 1, &h), 1);
		buf_free(&frame);
	}
}

/* -- who may talk to whom -- */

static bool
listed(enum message_type type, enum role from, enum role to)
{
	enum role f, t;
	size_t i;

	for (i = 0; message_route(type, i, &f, &t); i++)
		if (f == from && t == to)
			return true;
	return false;
}

/* The sockets there are, by hand: the parent knows everybody but smtpctl. */
static const struct {
	enum role a, b;
} pairs[] = {
    {ROLE_PARENT, ROLE_SESSION},
    {ROLE_PARENT, ROLE_QUEUE},
    {ROLE_PARENT, ROLE_LOOKUP},
    {ROLE_PARENT, ROLE_DELIVERY},
    {ROLE_PARENT, ROLE_CONTROL},
    {ROLE_PARENT, ROLE_AGENT},
    {ROLE_PARENT, ROLE_VAULT},
    {ROLE_PARENT, ROLE_HASHER},
    {ROLE_PARENT, ROLE_TABLE},
    {ROLE_PARENT, ROLE_FETCH},
    {ROLE_SESSION, ROLE_QUEUE},
    {ROLE_SESSION, ROLE_LOOKUP},
    {ROLE_SESSION, ROLE_VAULT},
    {ROLE_VAULT, ROLE_HASHER},
    {ROLE_VAULT, ROLE_LOOKUP},	 /* senders of forwarded mail */
    {ROLE_VAULT, ROLE_DELIVERY}, /* the same, and logins at the servers of relays */
    {ROLE_VAULT, ROLE_TABLE},	 /* passwords in a database server */
    {ROLE_VAULT, ROLE_FETCH},	 /* tokens of OAuth */
    {ROLE_FETCH, ROLE_LOOKUP},	 /* where their servers are */
    {ROLE_LOOKUP, ROLE_TABLE},
    {ROLE_QUEUE, ROLE_LOOKUP},
    {ROLE_QUEUE, ROLE_DELIVERY},
    {ROLE_LOOKUP, ROLE_DELIVERY},
    {ROLE_DELIVERY, ROLE_AGENT},
    {ROLE_CONTROL, ROLE_SESSION},
    {ROLE_CONTROL, ROLE_QUEUE},
    {ROLE_CONTROL, ROLE_LOOKUP},
    {ROLE_CONTROL, ROLE_DELIVERY},
    {ROLE_CONTROL, ROLE_VAULT},
    {ROLE_CONTROL, ROLE_ADMIN},
};

static bool
may_meet(enum role a, enum role b)
{
	size_t i;

	for (i = 0; i < NITEMS(pairs); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	return false;
}

static void
check_pair(enum role from, enum role to)
{
	unsigned int type, allowed = 0;

	for (type = 0; type < MSG__MAX; type++) {
		bool may = message_allowed((enum message_type)type, from, to);

		assert_int_equal(may, listed((enum message_type)type, from, to));
		allowed += may;
	}
	assert_false(message_allowed(MSG__MAX, from, to));
	assert_int_equal(message_links(from, to), may_meet(from, to));
	if (!may_meet(from, to))
		assert_int_equal(allowed, 0);
}

static void
test_permissions(void **state)
{
	unsigned int from, to;

	(void)state;
	for (from = 0; from < ROLE__MAX; from++)
		for (to = 0; to < ROLE__MAX; to++)
			check_pair((enum role)from, (enum role)to);
}

/* What would give a process rights, work or a way in comes from the parent alone. */
static void
test_only_the_parent(void **state)
{
	static const enum message_type reserved[] = {MSG_enter, MSG_conf_text, MSG_conf_end,
	    MSG_file, MSG_lock, MSG_link, MSG_drain, MSG_listen, MSG_listen_clear, MSG_mailbox,
	    MSG_agent_started, MSG_agent_refused, MSG_user_answer, MSG_file_data, MSG_sign_link,
	    MSG_shadow_answer, MSG_helper_link, MSG_helper_refused, MSG_forward_file,
	    MSG_forward_none, MSG_include, MSG_userinfo_get, MSG_sealed, MSG_lmtp_socket,
	    MSG_lmtp_refused};
	enum role from, to;
	size_t i, n;

	(void)state;
	for (i = 0; i < NITEMS(reserved); i++)
		for (n = 0; message_route(reserved[i], n, &from, &to); n++)
			assert_int_equal(from, ROLE_PARENT);
}

/* What may be said where a process has more rights than who talks to it, by hand and whole. */
static const struct {
	enum role from, to;
	enum message_type type;
} narrow[] = {
    {ROLE_LOOKUP, ROLE_PARENT, MSG_user},
    {ROLE_LOOKUP, ROLE_PARENT, MSG_userinfo},
    {ROLE_LOOKUP, ROLE_PARENT, MSG_forward_get},
    {ROLE_DELIVERY, ROLE_PARENT, MSG_agent_start},
    {ROLE_DELIVERY, ROLE_PARENT, MSG_agent_end},
    {ROLE_DELIVERY, ROLE_PARENT, MSG_lmtp_connect},
    {ROLE_VAULT, ROLE_PARENT, MSG_shadow},
    {ROLE_VAULT, ROLE_PARENT, MSG_helper_get},
    {ROLE_VAULT, ROLE_PARENT, MSG_seal},
    {ROLE_CONTROL, ROLE_PARENT, MSG_pause},
    {ROLE_CONTROL, ROLE_PARENT, MSG_procs},
    {ROLE_CONTROL, ROLE_PARENT, MSG_stats},
    {ROLE_CONTROL, ROLE_PARENT, MSG_table_update},
    {ROLE_SESSION, ROLE_VAULT, MSG_sign},
    {ROLE_SESSION, ROLE_VAULT, MSG_auth_begin},
    {ROLE_SESSION, ROLE_VAULT, MSG_auth_response},
    {ROLE_SESSION, ROLE_VAULT, MSG_auth_cancel},
    {ROLE_LOOKUP, ROLE_VAULT, MSG_srs},
    {ROLE_DELIVERY, ROLE_VAULT, MSG_srs},
    {ROLE_DELIVERY, ROLE_VAULT, MSG_relay_auth},
    {ROLE_DELIVERY, ROLE_VAULT, MSG_relay_auth_challenge},
    {ROLE_DELIVERY, ROLE_VAULT, MSG_relay_auth_result},
    {ROLE_HASHER, ROLE_VAULT, MSG_hash_verdict},
    {ROLE_HASHER, ROLE_VAULT, MSG_found},
    {ROLE_HASHER, ROLE_VAULT, MSG_derived},
    {ROLE_FETCH, ROLE_VAULT, MSG_fetched},
    {ROLE_FETCH, ROLE_LOOKUP, MSG_route},
    {ROLE_LOOKUP, ROLE_FETCH, MSG_route_host},
    {ROLE_LOOKUP, ROLE_FETCH, MSG_route_tlsa},
    {ROLE_LOOKUP, ROLE_FETCH, MSG_route_end},
    {ROLE_TABLE, ROLE_VAULT, MSG_table_row},
    {ROLE_TABLE, ROLE_VAULT, MSG_table_end},
    {ROLE_TABLE, ROLE_LOOKUP, MSG_table_row},
    {ROLE_TABLE, ROLE_LOOKUP, MSG_table_end},
    {ROLE_LOOKUP, ROLE_TABLE, MSG_table_ask},
    {ROLE_VAULT, ROLE_TABLE, MSG_table_ask},
    {ROLE_VAULT, ROLE_LOOKUP, MSG_srs_answer},
    {ROLE_VAULT, ROLE_DELIVERY, MSG_srs_answer},
    {ROLE_VAULT, ROLE_DELIVERY, MSG_relay_auth_step},
    {ROLE_VAULT, ROLE_DELIVERY, MSG_relay_auth_end},
    {ROLE_VAULT, ROLE_HASHER, MSG_hash},
    {ROLE_VAULT, ROLE_HASHER, MSG_derive},
    {ROLE_VAULT, ROLE_HASHER, MSG_find},
    {ROLE_VAULT, ROLE_FETCH, MSG_fetch},
};

/* Life: what every process tells the parent, whoever it is. */
static bool
is_of_life(enum message_type type)
{
	static const enum message_type life[] = {
	    MSG_entered, MSG_seccomp_listener, MSG_relink, MSG_log};
	size_t i;

#ifdef TEST_HOOKS
	if (type == MSG_probe || type == MSG_probe_result)
		return true;
#endif
	for (i = 0; i < NITEMS(life); i++)
		if (life[i] == type)
			return true;
	return false;
}

static bool
is_narrow(enum message_type type, enum role from, enum role to)
{
	size_t i;

	for (i = 0; i < NITEMS(narrow); i++)
		if (narrow[i].type == type && narrow[i].from == from && narrow[i].to == to)
			return true;
	return false;
}

/* Of these pairs each message is in the list, and of the list each is a message. */
static void
check_narrow(enum role from, enum role to)
{
	unsigned int type;

	for (type = 0; type < MSG__MAX; type++)
		if (to != ROLE_PARENT || !is_of_life((enum message_type)type))
			if (message_allowed((enum message_type)type, from, to) !=
			    is_narrow((enum message_type)type, from, to))
				fail_msg("%s from %s to %s", message_name((enum message_type)type),
				    role_word(from), role_word(to));
}

static void
test_few_words(void **state)
{
	unsigned int from, i;

	(void)state;
	for (from = 0; from < ROLE__MAX; from++)
		check_narrow((enum role)from, ROLE_PARENT);
	for (i = 0; i < NITEMS(narrow); i++)
		check_narrow(narrow[i].from, narrow[i].to);
}

/* A descriptor is a right: none but the parent gives any away. */
static void
test_who_passes_descriptors(void **state)
{
	enum role from, to;
	unsigned int type;
	size_t n;

	(void)state;
	for (type = 0; type < MSG__MAX; type++)
		for (n = 0; message_route((enum message_type)type, n, &from, &to); n++)
			if (message_wants_fd((enum message_type)type))
				assert_true(from == ROLE_PARENT || type == MSG_seccomp_listener);
}

static void
test_names(void **state)
{
	unsigned int a, b;

	(void)state;
	for (a = 0; a < MSG__MAX; a++) {
		assert_true(strlen(message_name((enum message_type)a)) > 0);
		assert_true(strlen(message_purpose((enum message_type)a)) > 0);
		for (b = 0; b < a; b++)
			assert_string_not_equal(
			    message_name((enum message_type)a), message_name((enum message_type)b));
	}
	assert_string_equal(message_name(MSG__MAX), "unknown");
	assert_string_equal(role_word(ROLE__MAX), "unknown");
}

/* A buffer that is full leaves no half frame behind. */
static void
test_full_buffer(void **state)
{
	struct msg_log m = {.req = REQ, .level = 1, .line = "a line"};
	struct buf b;
	size_t max;

	(void)state;
	for (max = 0; max < 22; max++) {
		buf_init(&b, max);
		assert_int_equal(message_encode(MSG_log, &m, &b), -1);
		assert_int_equal(errno, ENOBUFS);
		assert_int_equal(b.len, 0);
		buf_free(&b);
	}
	buf_init(&b, 22);
	assert_int_equal(message_encode(MSG_log, &m, &b), 0);
	assert_int_equal(b.len, 22);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_decoded_is_the_same),
	    cmocka_unit_test(test_one_over_each_bound),
	    cmocka_unit_test(test_text_is_terminated_and_whole),
	    cmocka_unit_test(test_exact_length),
	    cmocka_unit_test(test_header),
	    cmocka_unit_test(test_permissions),
	    cmocka_unit_test(test_only_the_parent),
	    cmocka_unit_test(test_few_words),
	    cmocka_unit_test(test_who_passes_descriptors),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_full_buffer),
	};

	return cmocka_run_group_tests(tests, fill_text, NULL);
}
