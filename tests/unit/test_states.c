/* SPDX-License-Identifier: ISC */
/* Every edge of the session's states, drawn by hand.  Which command may come where: tests/system/test_order.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/bug.h"
#include "session/states.h"

static const enum state states[] = {STATE_PROXY, STATE_ENTERING, STATE_NEW, STATE_IDLE, STATE_MAIL,
    STATE_RCPT, STATE_CHUNKS, STATE_DELAYED, STATE_FILTERING, STATE_ASKING, STATE_BEGINNING,
    STATE_DATA, STATE_CHUNK, STATE_SWALLOW, STATE_COMMITTING, STATE_CLOSING, STATE_HANDSHAKE,
    STATE_CHECKING, STATE_CHALLENGED};

/* Row: from; column: to; in the order above. */
static const char *const edges[NITEMS(states)] = {
    /*            PENIMRKDFABTCSOXHVL */
    /* PROXY */ ".x.............x...",
    /* ENTERING */ "x.x............xx..",
    /* NEW */ ".x.x...xx....x.xx..",
    /* IDLE */ ".x.xx..xx....x.xxx.",
    /* MAIL */ "...x...xxx...x.x...",
    /* RCPT */ "...x...xxxx..x.x...",
    /* CHUNKS */ "...x...x....x..x...",
    /* DELAYED */ "..xxxxx........x...",
    /* FILTERING */ "..xxxx...xx..xxx...",
    /* ASKING */ "....xx.........x...",
    /* BEGINNING */ "...x.......xxx.x...",
    /* DATA */ "...x....x.....xx...",
    /* CHUNK */ "...x..x.x.....xx...",
    /* SWALLOW */ "..xxxx.........x...",
    /* COMMITTING */ "...x...........x...",
    /* CLOSING */ "...............x...",
    /* HANDSHAKE */ "..x............x...",
    /* CHECKING */ "...x...........x..x",
    /* CHALLENGED */ "...x...........x.x.",
};

static void
test_edges(void **state)
{
	size_t from, to;

	(void)state;
	for (from = 0; from < NITEMS(states); from++)
		for (to = 0; to < NITEMS(states); to++)
			if (state_may_follow(states[from], states[to]) != (edges[from][to] == 'x'))
				fail_msg(
				    "%s to %s", state_name(states[from]), state_name(states[to]));
}

static void
test_no_state_at_all(void **state)
{
	(void)state;
	assert_false(state_may_follow((enum state)0, STATE_IDLE));
	assert_false(state_may_follow((enum state)(STATE_IDLE | STATE_MAIL), STATE_IDLE));
	assert_string_equal(state_name((enum state)0), "?");
}

/* In each state a command is read, a body is, or nothing at all. */
static void
test_who_has_the_word(void **state)
{
	const unsigned int body = STATE_PROXY | STATE_DATA | STATE_CHUNK | STATE_SWALLOW |
				  STATE_CHALLENGED;
	unsigned int all = 0;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(states); i++) {
		assert_int_equal(all & (unsigned int)states[i], 0);
		all |= (unsigned int)states[i];
	}
	assert_int_equal(STATE_ANY_COMMAND | STATE_WAITING | body, all);
	assert_int_equal(STATE_ANY_COMMAND & (STATE_WAITING | body), 0);
	assert_int_equal(STATE_WAITING & body, 0);
}

static void
test_names_differ(void **state)
{
	size_t a, b;

	(void)state;
	for (a = 0; a < NITEMS(states); a++)
		for (b = 0; b < a; b++)
			assert_string_not_equal(state_name(states[a]), state_name(states[b]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_no_state_at_all),
	    cmocka_unit_test(test_who_has_the_word),
	    cmocka_unit_test(test_names_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
