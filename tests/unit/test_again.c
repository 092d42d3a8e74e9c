/* SPDX-License-Identifier: ISC */
/* "Try again in N" out of the prose of replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "delivery/again.h"
#include "lib/base/bug.h"

static const struct {
	const char *text;
	int64_t seconds;
} cases[] = {
    {"", 0},
    {"try again in 300 seconds", 300},
    {"retry in 5 minutes", 300},
    {"Greylisted for 60 seconds", 60},
    {"Greylisting in action, please come back in 00:04:59", 299},
    {"Recipient address rejected: Greylisted for 5 minutes (see http://example.org/?ip=192.0.2.7)",
	300},
    {"Greylisted, please try again in 5m30s.", 330},
    {"wait 4 minutes and 30 seconds", 270},
    {"You have to wait: 1 hour, 2 minutes", 3720},
    {"temporarily deferred for 2h", 7200},
    {"please retry after 90 SECS", 90},
    {"retry 4.7.1 in 20min", 1200},
    {"graylisted for 10-minutes", 600},
    {"try again in 3:20", 200},
    /* bounded, whatever is said */
    {"try again in 99999999999999999999999 hours", AGAIN_MAX_S},
    {"try again in 100 hours", AGAIN_MAX_S},
    {"try again in 99:99:99", AGAIN_MAX_S},
    /* times that are no wish */
    {"try again later", 0},
    {"100 mails in 60 seconds is too much, try again later", 0},
    {"try again, and by the way, this is no place for such a word, 30 seconds", 0},
    {"greylisted, see example.org/300s.html", 300}, /* who knows */
    {"try again, id 1.2.3.4s", 0},
    {"try again, 2001:db8::5:30", 0},
    {"retry after 3:4:5:6", 0},
    {"try again in 0 seconds", 0},
    {"try again in 5 parsecs", 0},
    {"try again in 5", 0},
    {"waiting for 5 minutes is vain", 300},
    {"again", 0},
    {"again 1", 0},
    {"again 1:", 0},
    {"again 1:2:", 0},
};

static void
test_texts(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		if (again_seconds(cases[i].text) != cases[i].seconds)
			fail_msg("%s: %d instead of %d", cases[i].text,
			    (int)again_seconds(cases[i].text), (int)cases[i].seconds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts)};

	return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
