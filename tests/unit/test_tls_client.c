/* SPDX-License-Identifier: ISC */
/* Verified or not: handshakes with a server in the same process, over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <tls.h>
#include <unistd.h>

#include "lib/net/io.h"
#include "lib/net/tls_client.h"
#include "tests/unit/tls_pair.h"

#define ROUNDS_MAX 100

static struct tls *
server_create(void)
{
	struct tls_config *config = tls_config_new();
	struct tls *server = tls_server();

	assert_non_null(config);
	assert_non_null(server);
	assert_int_equal(tls_config_set_keypair_mem(config, (const uint8_t *)certificate,
			     strlen(certificate), (const uint8_t *)key, strlen(key)),
	    0);
	assert_int_equal(tls_configure(server, config), 0);
	tls_config_free(config);
	return server;
}

/* 0: both sides are through; -1: the client gave up. */
static int
handshake(struct tls *client, struct tls *server)
{
	int round, c = TLS_WANT_POLLIN, s = TLS_WANT_POLLIN;

	for (round = 0; round < ROUNDS_MAX; round++) {
		if (c == TLS_WANT_POLLIN || c == TLS_WANT_POLLOUT)
			c = tls_handshake(client);
		if (c == -1)
			return -1;
		if (s == TLS_WANT_POLLIN || s == TLS_WANT_POLLOUT)
			s = tls_handshake(server);
		if (c == 0 && s == 0)
			return 0;
	}
	fail_msg("the handshake does not end");
	return -1;
}

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	(void)arg;
	(void)io;
	(void)why;
}

static const struct io_callbacks callbacks = {.on_end = on_end};

static int
try_host(struct tls_client *t, const char *host, bool verify)
{
	struct tls *server = server_create(), *accepted = NULL, *client;
	struct event_base *base;
	struct io *io;
	int pair[2], rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	base = event_base_new();
	io = io_create(base, pair[0], &callbacks, NULL);
	assert_non_null(io);
	client = tls_client_connect(t, io, host, verify);
	assert_non_null(client);
	assert_int_equal(tls_accept_socket(server, &accepted, pair[1]), 0);
	rc = handshake(client, accepted);
	tls_free(client);
	tls_free(accepted);
	tls_free(server);
	io_free(io);
	event_base_free(base);
	(void)close(pair[1]);
	return rc;
}

static void
test_unverified(void **state)
{
	struct tls_client *t = tls_client_create();

	(void)state;
	assert_non_null(t);
	assert_false(tls_client_can_verify(t));
	assert_int_equal(try_host(t, "peer.test", false), 0);
	assert_int_equal(try_host(t, "other.test", false), 0);
	assert_int_equal(try_host(t, "192.0.2.1", false), 0);
	tls_client_free(t);
}

/* Nothing to verify by is no reason to do without. */
static void
test_no_bundle(void **state)
{
	struct tls_client *t = tls_client_create();

	(void)state;
	assert_null(tls_client_connect(t, NULL, "peer.test", true));
	assert_int_equal(tls_client_set_ca(t, "", 0), -1);
	assert_int_equal(tls_client_set_ca(t, "no certificate", 14), -1);
	assert_false(tls_client_can_verify(t));
	assert_null(tls_client_connect(t, NULL, "peer.test", true));
	tls_client_free(t);
}

static void
test_verified(void **state)
{
	struct tls_client *t = tls_client_create();

	(void)state;
	assert_int_equal(tls_client_set_ca(t, certificate, strlen(certificate)), 0);
	assert_true(tls_client_can_verify(t));
	assert_int_equal(try_host(t, "peer.test", true), 0);
	assert_int_equal(try_host(t, "other.test", true), -1);
	assert_int_equal(try_host(t, "192.0.2.1", true), -1);
	/* a bundle that does not parse leaves the one there is */
	assert_int_equal(tls_client_set_ca(t, "no certificate", 14), -1);
	assert_int_equal(try_host(t, "peer.test", true), 0);
	tls_client_free(t);
}

/* A good bundle that does not hold the one who signed. */
static void
test_stranger(void **state)
{
	struct tls_client *t = tls_client_create();
	static const char stranger[] =
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIIBhzCCAS2gAwIBAgIULm78JwbDPPdTuDdCZD5dxDWJqEEwCgYIKoZIzj0EAwIw\n"
	    "GDEWMBQGA1UEAwwNc3RyYW5nZXIudGVzdDAgFw0yNjExMjMwMDU3NDlaGA8yMTI2\n"
	    "MTAzMDAwNTc0OVowGDEWMBQGA1UEAwwNc3RyYW5nZXIudGVzdDBZMBMGByqGSM49\n"
	    "AgEGCCqGSM49AwEHA0IABPGtob7sIGXnWrSyUHqYP+5cpXZxC9FmA72D8UH6wbZi\n"
	    "NRjW3WqZWAoGuGnwOlEaU60p9ALqQf5WvsjhGq/7anejUzBRMB0GA1UdDgQWBBQF\n"
	    "ogLhSaSAmL9I6k4rDK4S2teJlDAfBgNVHSMEGDAWgBQFogLhSaSAmL9I6k4rDK4S\n"
	    "2teJlDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCICcUk63ymzY4\n"
	    "TWA5dILS5cRdjTr7Edbe3lGu/0GalihnAiEAmA2DKivZ6AIOTAPUKSWFBd6w3Rxn\n"
	    "7UlJURCxNSzkC54=\n"
	    "-----END CERTIFICATE-----\n";

	(void)state;
	assert_int_equal(tls_client_set_ca(t, stranger, strlen(stranger)), 0);
	assert_int_equal(try_host(t, "peer.test", true), -1);
	assert_int_equal(try_host(t, "peer.test", false), 0);
	tls_client_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unverified),
	    cmocka_unit_test(test_no_bundle),
	    cmocka_unit_test(test_verified),
	    cmocka_unit_test(test_stranger),
	};

	return cmocka_run_group_tests_name("tls_client", tests, NULL, NULL);
}
