/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_CONF_FIXTURE_H
#define TESTS_UNIT_CONF_FIXTURE_H

/*
 * What tests of the configuration do with one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/conf/conf.h"

/* As text that the caller frees. */
static inline char *
dump(const struct conf *c, unsigned int roles)
{
	struct buf out;
	char *text;

	buf_init(&out, 64 << 20);
	assert_int_equal(conf_dump(c, roles, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	text = strdup((const char *)buf_head(&out));
	assert_non_null(text);
	buf_free(&out);
	return text;
}

#endif
