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

static const enum state states[] = {STATE_NEW, STATE_IDLE, STATE_MAIL, STATE_RCPT, STATE_ASKING,
    STATE_BEGINNING, STATE_DATA, STATE_COMMITTING, STATE_CLOSING};

/* Row: from; column: to; in the order above. */
static const char *const edges[NITEMS(states)] = {
    /*             NIMRABDCX */
    /* NEW */ ".x......x",
    /* IDLE */ ".xx.....x",
    /* MAIL */ ".x..x...x",
    /* RCPT */ ".x..xx..x",
    /* ASKING */ "..xx....x",
    /* BEGINNING */ ".x....x.x",
    /* DATA */ ".x.....xx",
    /* COMMITTING */ ".x......x",
    /* CLOSING */ "........x",
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
	    cmocka_unit_test(test_names_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
