/* SPDX-License-Identifier: ISC */
/* Verified or not: handshakes with a server in the same process, over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <tls.h>
#include <unistd.h>

#include "lib/net/tls_client.h"

#define ROUNDS_MAX 100

/* Made for this test, self-signed, for peer.test alone. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlDCCATugAwIBAgIUVyCFQZFZ9eqcGucENxzWZ8b0vGEwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJcGVlci50ZXN0MCAXDTI2MTEyMzAwNTc0OVoYDzIxMjYxMDMw\n"
    "MDA1NzQ5WjAUMRIwEAYDVQQDDAlwZWVyLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAS33WtASjxKYSg9xlJ6260aSw446lz9cH5Ev6E7bgPmou9C0gevQUUc\n"
    "H10ZGg7gW5yT0QperVxsmD6KCvMyrJDyo2kwZzAdBgNVHQ4EFgQUs5OmEgmn9kaN\n"
    "owb6/EIo5mTADRgwHwYDVR0jBBgwFoAUs5OmEgmn9kaNowb6/EIo5mTADRgwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglwZWVyLnRlc3QwCgYIKoZIzj0EAwID\n"
    "RwAwRAIgXOdMUi7IpJJeS+n4+4tSd2EtOu+cNB8fMI62czFUBhICIDLCzV/B4HrT\n"
    "hxjUuoMFqg8VMyGw3zMoPia/QcJ3XtXa\n"
    "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCQS2zaoixejJrowX\n"
			  "dTxE1MAz1HqX1DiUQmjRF8lfntOhRANCAAS33WtASjxKYSg9xlJ6260aSw446lz9\n"
			  "cH5Ev6E7bgPmou9C0gevQUUcH10ZGg7gW5yT0QperVxsmD6KCvMyrJDy\n"
			  "-----END PRIVATE KEY-----\n";

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

static int
try_host(struct tls_client *t, const char *host, bool verify)
{
	struct tls *server = server_create(), *accepted = NULL, *client;
	int pair[2], rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	client = tls_client_connect(t, pair[0], host, verify);
	assert_non_null(client);
	assert_int_equal(tls_accept_socket(server, &accepted, pair[1]), 0);
	rc = handshake(client, accepted);
	tls_free(client);
	tls_free(accepted);
	tls_free(server);
	(void)close(pair[0]);
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
	assert_null(tls_client_connect(t, 0, "peer.test", true));
	assert_int_equal(tls_client_set_ca(t, "", 0), -1);
	assert_int_equal(tls_client_set_ca(t, "no certificate", 14), -1);
	assert_false(tls_client_can_verify(t));
	assert_null(tls_client_connect(t, 0, "peer.test", true));
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
