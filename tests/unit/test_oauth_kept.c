/* SPDX-License-Identifier: ISC */
/*
 * Consents on disk, and a parent that tells of them again and again: keys that come late, or
 * are replaced, and files of before.
 */
#include "tests/unit/oauth_rig.h"

/* A key, or a file, that could not be read is there with a later configuration. */
static void
test_key_comes_later(void **state)
{
	struct rig *r = *state;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	assert_int_equal(rig_tear_down(state), 0);
	assert_int_equal(rig_set_up(state), 0);
	r = *state;
	feed(r, IPC_DATA_SEALED, "work", kept, kept_len);
	configure(r, DEVICE);
	assert_non_null(strstr(row(r)->b, "there is no vault key"));
	feed(r, IPC_DATA_SEAL_KEY, "", vault_key, sizeof(vault_key));
	configure(r, DEVICE);
	assert_non_null(strstr(row(r)->b, "there is no vault key"));
	feed(r, IPC_DATA_SEALED, "work", kept, kept_len);
	configure(r, DEVICE);
	tick(r);
	fetched(r, hear_fetch(r, MS "token", "refresh_token=rt-1"), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device yes");
	assert_string_equal(row(r)->b, "");
}

/* What was sealed by a key that there is no more would be lost with this process. */
static void
test_another_key(void **state)
{
	struct rig *r = *state;
	uint8_t key[sizeof(vault_key)] = {43};

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	feed(r, IPC_DATA_SEAL_KEY, "", vault_key, sizeof(vault_key));
	configure(r, DEVICE);
	assert_quiet(r);
	feed(r, IPC_DATA_SEAL_KEY, "", key, sizeof(key));
	configure(r, DEVICE);
	keep_sealed(r, "work", IPC_OK);
	assert_quiet(r);
	assert_int_equal(rig_tear_down(state), 0);
	assert_int_equal(rig_set_up(state), 0);
	r = *state;
	feed(r, IPC_DATA_SEAL_KEY, "", key, sizeof(key));
	feed(r, IPC_DATA_SEALED, "work", kept, kept_len);
	configure(r, DEVICE);
	tick(r);
	(void)hear_fetch(r, MS "token", "refresh_token=rt-1");
}

/* The parent may have read the file before it was told to forget it. */
static void
test_forgotten_stays_so(void **state)
{
	const struct msg_oauth_forget m = {.req = 9, .label = "work"};
	struct rig *r = *state;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_forget, &m), 0);
	sealed(r, next(r, MSG_seal), IPC_OK);
	assert_int_equal(next(r, MSG_done)->n, IPC_OK);
	feed(r, IPC_DATA_SEALED, "work", kept, kept_len);
	configure(r, DEVICE);
	later(r, 1);
	assert_quiet(r);
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device no");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_key_comes_later),
	    TEST(test_another_key),
	    TEST(test_forgotten_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
