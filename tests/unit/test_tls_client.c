/* SPDX-License-Identifier: ISC */
/* Verified by names, or judged later: who is who, and why not. */
#include "tests/unit/tls_client_fixture.h"

static const char *const peer_test[] = {"peer.test"};
static const char *const other_test[] = {"other.test"};
static const char *const mx_peer_test[] = {"mx.peer.test"};
static const char *const peer_or_other[] = {"other.test", "PEER.test"};
static const char *const mmx_peer_test[] = {"mmx.peer.test"};
static const char *const address[] = {"192.0.2.1"};
static const char *const other_address[] = {"192.0.2.2"};

/* Each certificate and name, once demanded and once judged later. */
static const struct {
	enum kind shown;
	const char *const *names;
	size_t nnames;
	bool good;
	const char *why; /* a part of it */
} rows[] = {
    {GOOD, peer_test, 1, true, ""},
    {GOOD, other_test, 1, false, "the certificate is for peer.test, not other.test"},
    {GOOD, peer_or_other, 2, true, ""},
    {GOOD, address, 1, false, "for peer.test, not 192.0.2.1"},
    {WILD, mx_peer_test, 1, true, ""},
    {WILD, peer_test, 1, false, "for *.peer.test, not peer.test"},
    {SPLIT, mmx_peer_test, 1, false, "not mmx.peer.test"},
    {ADDRESS, address, 1, true, ""},
    {ADDRESS, other_address, 1, false, "not 192.0.2.2"},
    {ADDRESS, peer_test, 1, false, "for address, not peer.test"},
    {OLD_STYLE, peer_test, 1, true, ""},
    {OLD_STYLE, other_test, 1, false, "for peer.test, not other.test"},
    {NO_SERVER, peer_test, 1, false, "purpose"},
    {EXPIRED, peer_test, 1, false, "expired"},
    {FUTURE, peer_test, 1, false, "not yet valid"},
    {WEAK, peer_test, 1, false, "too weak"},
    {SELF, peer_test, 1, false, "the certificate is self-signed"},
    {STRANGER, peer_test, 1, false, "by an authority that is not known"},
    {UNDER, peer_test, 1, false, "by an authority that is not known"},
    {CUT, peer_test, 1, false, "for peer.test\\x00.evil.example, not peer.test"},
    {NOISY, peer_test, 1, false, "for a\\x0d\\x0aevent=x\\x1b[31m\\xff\", not peer.test"},
    {FORGED, peer_test, 1, false, "signature failure"},
};

static struct scene
scene_of(size_t row, enum tls_check check)
{
	return (struct scene){.shown = rows[row].shown,
	    .want = {.check = check,
		.host = rows[row].names[0],
		.names = rows[row].names,
		.nnames = rows[row].nnames}};
}

static void
check_text(size_t row, const char *text)
{
	if (strstr(text, rows[row].why) == NULL)
		fail_msg("row %zu: \"%s\" does not say \"%s\"", row, text, rows[row].why);
}

static void
test_demanded(void **state)
{
	struct tls_client *t = client_create();
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct scene s = scene_of(i, TLS_CHECK_NAMES);
		struct result r = play(t, &s);

		if (r.rc != (rows[i].good ? 0 : -1))
			fail_msg("row %zu: %d, %s", i, r.rc, r.error);
		if (r.rc == -1)
			check_text(i, r.error);
		assert_int_equal(r.judged.by_names, rows[i].good);
		assert_false(r.judged.by_records);
	}
	tls_client_free(t);
}

/* The same certificates do for a connection of which nothing is demanded, and are told apart. */
static void
test_later(void **state)
{
	struct tls_client *t = client_create();
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct scene s = scene_of(i, TLS_CHECK_LATER);
		struct result r = play(t, &s);

		if (r.rc != 0)
			fail_msg("row %zu: %s", i, r.error);
		if (r.judged.by_names != rows[i].good)
			fail_msg("row %zu: %d, %s", i, r.judged.by_names, r.judged.why);
		check_text(i, r.judged.why);
		assert_int_equal(r.judged.why[0] == '\0', rows[i].good);
		assert_string_equal(r.judged.protocol, "TLSv1.3");
		assert_string_equal(r.judged.cipher, "TLS_AES_128_GCM_SHA256");
		assert_int_equal(strncmp(r.judged.fingerprint, "SHA256:", 7), 0);
		assert_int_equal(strlen(r.judged.fingerprint), 7 + 64);
	}
	tls_client_free(t);
}

/* A chain is verified through what the server sends. */
static void
test_chain(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = {.shown = UNDER,
	    .chain = {CA_UNDER},
	    .nchain = 1,
	    .want = {
		.check = TLS_CHECK_NAMES, .host = "peer.test", .names = peer_test, .nnames = 1}};

	(void)state;
	assert_int_equal(play(t, &s).rc, 0);
	tls_client_free(t);
}

/* Without a name the best certificate proves nothing. */
static void
test_nameless(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = {.shown = GOOD, .want = {.check = TLS_CHECK_LATER, .host = "peer.test"}};
	struct result r = play(t, &s);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_false(r.judged.by_names);
	s.want.check = TLS_CHECK_NAMES;
	assert_null(tls_client_connect(t, NULL, &s.want));
	tls_client_free(t);
}

/* Nothing to verify by is no reason to do without where it is demanded. */
static void
test_no_bundle(void **state)
{
	struct tls_client *t = tls_client_create();
	struct scene s = scene_of(0, TLS_CHECK_NAMES);
	struct result r;

	(void)state;
	assert_non_null(t);
	assert_null(tls_client_connect(t, NULL, &s.want));
	assert_int_equal(tls_client_set_ca(t, "", 0), -1);
	assert_int_equal(tls_client_set_ca(t, "no certificate", 14), -1);
	assert_false(tls_client_can_verify(t));
	assert_null(tls_client_connect(t, NULL, &s.want));
	s.want.check = TLS_CHECK_LATER;
	r = play(t, &s);
	assert_int_equal(r.rc, 0);
	assert_false(r.judged.by_names);
	assert_string_equal(r.judged.why, "there are no authorities to verify the certificate by");
	tls_client_free(t);
}

/* A bundle that does not parse leaves the one there is; a connection keeps the one it has. */
static void
test_bundles(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = scene_of(0, TLS_CHECK_NAMES);
	const char *pem;

	(void)state;
	assert_int_equal(tls_client_set_ca(t, "no certificate", 14), -1);
	assert_true(tls_client_can_verify(t));
	assert_int_equal(play(t, &s).rc, 0);
	pem = pem_of(CA_STRANGER);
	assert_int_equal(tls_client_set_ca(t, pem, strlen(pem)), 0);
	assert_int_equal(play(t, &s).rc, -1);
	s.shown = STRANGER;
	assert_int_equal(play(t, &s).rc, 0);
	tls_client_free(t);
}

static void
test_named_bundles(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = {.shown = STRANGER,
	    .want = {.check = TLS_CHECK_NAMES,
		.host = "peer.test",
		.names = peer_test,
		.nnames = 1,
		.ca = "theirs"}};
	const char *pem = pem_of(CA_STRANGER);

	(void)state;
	assert_null(tls_client_connect(t, NULL, &s.want));
	assert_int_equal(tls_client_add_ca(t, "theirs", "no certificate", 14), -1);
	assert_null(tls_client_connect(t, NULL, &s.want));
	assert_int_equal(tls_client_add_ca(t, "theirs", pem, strlen(pem)), 0);
	assert_int_equal(play(t, &s).rc, 0);
	assert_int_equal(tls_client_add_ca(t, "theirs", "no certificate", 14), -1);
	assert_int_equal(play(t, &s).rc, 0);
	s.shown = GOOD; /* by one who is trusted in general, but not here */
	assert_int_equal(play(t, &s).rc, -1);
	pem = pem_of(CA);
	assert_int_equal(tls_client_add_ca(t, "theirs", pem, strlen(pem)), 0);
	assert_int_equal(play(t, &s).rc, 0);
	tls_client_free(t);
}

/* What is better than plain text, but not by much, does where plain text would, and only there. */
static void
test_weak_exchange(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = {.shown = WEAK,
	    .small_group = true,
	    .want = {
		.check = TLS_CHECK_LATER, .host = "peer.test", .names = peer_test, .nnames = 1}};
	struct result r = play(t, &s);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_false(r.judged.by_names);
	assert_string_equal(r.judged.protocol, "TLSv1.2");
	assert_int_equal(strncmp(r.judged.cipher, "DHE-RSA-", 8), 0);
	s.want.check = TLS_CHECK_NAMES;
	assert_int_equal(play(t, &s).rc, -1);
	tls_client_free(t);
}

static void
test_indicated(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = scene_of(0, TLS_CHECK_LATER);

	(void)state;
	assert_string_equal(play(t, &s).sni, "peer.test");
	s.want.host = "192.0.2.1";
	assert_string_equal(play(t, &s).sni, "");
	s.want.host = "2001:db8::1";
	assert_string_equal(play(t, &s).sni, "");
	tls_client_free(t);
}

/* Many at once are each their own, in whatever order they end. */
static void
test_many(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = scene_of(0, TLS_CHECK_LATER);
	struct tls *open[5];
	struct tls_judgement j;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(open); i++)
		assert_non_null(open[i] = tls_client_connect(t, NULL, &s.want));
	tls_free(open[2]);
	tls_free(open[4]);
	assert_true(play(t, &s).judged.by_names);
	tls_client_judge(open[0], &j);
	assert_false(j.by_names || j.by_records);
	tls_free(open[0]);
	tls_free(open[3]);
	tls_free(open[1]);
	assert_true(play(t, &s).judged.by_names);
	tls_client_free(t);
}

/* What is no TLS at all is told in words. */
static void
test_error(void **state)
{
	struct tls_client *t = client_create();
	struct scene s = scene_of(0, TLS_CHECK_NAMES);
	struct event_base *base = event_base_new();
	struct tls *client;
	struct io *io;
	char text[40];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_non_null(io = io_create(base, pair[0], &callbacks, NULL));
	assert_non_null(client = tls_client_connect(t, io, &s.want));
	assert_int_equal(write(pair[1], "454 TLS not available\r\n", 23), 23);
	assert_int_equal(handshake(client, NULL), -1);
	assert_string_equal(tls_client_error(client, text, sizeof(text)), "wrong version number");
	tls_free(client);
	io_free(io);
	event_base_free(base);
	(void)close(pair[1]);
	tls_client_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_demanded),
	    cmocka_unit_test(test_later),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_nameless),
	    cmocka_unit_test(test_no_bundle),
	    cmocka_unit_test(test_bundles),
	    cmocka_unit_test(test_named_bundles),
	    cmocka_unit_test(test_weak_exchange),
	    cmocka_unit_test(test_indicated),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests_name("tls_client", tests, make_all, free_all);
}
