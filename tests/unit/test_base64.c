/* SPDX-License-Identifier: ISC */
/*
 * Base64: the vectors of RFC 4648 10, what is not base64, and buffers of the
 * exact size, on the heap so that a sanitizer sees one octet too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"

static const struct {
	const char *octets, *text;
} vectors[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbe", "+/++"},
    {"\xff\xff\xff", "////"}};

/* Decodes from and to memory of exactly these sizes. */
static int
decode(const char *text, size_t len, size_t size, uint8_t **dst, size_t *n)
{
	char *copy = malloc(len + 1);
	int rc, error;

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy + 1, text, len);
	*dst = malloc(size == 0 ? 1 : size);
	assert_non_null(*dst);
	memset(*dst, 0, size);
	rc = base64_decode(copy + 1, len, *dst, size, n);
	error = errno;
	free(copy);
	errno = error;
	return rc;
}

static void
test_vectors(void **state)
{
	size_t i, n, len;

	(void)state;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t *dst;
		char *text;

		len = strlen(vectors[i].octets);
		assert_non_null(text = malloc(BASE64_SIZE(len)));
		assert_int_equal(
		    base64_encode(vectors[i].octets, len, text), strlen(vectors[i].text));
		assert_string_equal(text, vectors[i].text);
		free(text);
		assert_int_equal(
		    decode(vectors[i].text, strlen(vectors[i].text), len, &dst, &n), 0);
		assert_int_equal(n, len);
		assert_memory_equal(dst, vectors[i].octets, len);
		free(dst);
	}
}

static void
test_refused(void **state)
{
	static const char *const texts[] = {"Z", "Zg", "Zg=", "Zm9", "Zm9vY", "====", "=",
	    "==", "Z===", "Zg==Zg==", "Zm8=Zm8=", "Zh==", "Zm9=", "Zm 9", "Zm9v\r\n", "Zm9v\n",
	    " Zm9v", "Zm-_", "Zg=A", "Z=g=", "=Zg=", "Zm9v====", "Zm9\x80", "Zm9v=", "*", "Zg==\n"};
	size_t i, j, n;
	uint8_t *dst;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(decode(texts[i], strlen(texts[i]), 16, &dst, &n), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(n, 0);
		for (j = 0; j < 16; j++)
			assert_int_equal(dst[j], 0);
		free(dst);
	}
	assert_int_equal(decode("Zm\0v", 4, 16, &dst, &n), -1);
	assert_int_equal(errno, EINVAL);
	free(dst);
}

static void
test_sizes(void **state)
{
	uint8_t *dst;
	size_t n;

	(void)state;
	assert_int_equal(decode("Zm9vYg==", 8, 3, &dst, &n), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(n, 0);
	free(dst);
	assert_int_equal(decode("Zg==", 4, 0, &dst, &n), -1);
	assert_int_equal(errno, ENOBUFS);
	free(dst);
	assert_int_equal(BASE64_SIZE(0), 1);
	assert_int_equal(BASE64_SIZE(1), 5);
	assert_int_equal(BASE64_SIZE(3), 5);
	assert_int_equal(BASE64_SIZE(4), 9);
	assert_int_equal(BASE64_MAX(8), 6);
}

/* Every octet in every place. */
static void
test_round_trip(void **state)
{
	uint8_t in[4], out[4];
	char text[BASE64_SIZE(4)];
	size_t len, i, n;
	unsigned int c;

	(void)state;
	for (len = 1; len <= sizeof(in); len++)
		for (i = 0; i < len; i++)
			for (c = 0; c < 256; c++) {
				memset(in, 0x5a, sizeof(in));
				in[i] = (uint8_t)c;
				n = base64_encode(in, len, text);
				assert_int_equal(base64_decode(text, n, out, sizeof(out), &n), 0);
				assert_int_equal(n, len);
				assert_memory_equal(in, out, len);
			}
}

/* Of all groups of four characters none but its own text gives an octet string. */
static void
test_one_text(void **state)
{
	static const char all[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	static const char first[] = "ABMZaxz019+/="; /* some will do */
	const uint32_t base = sizeof(all) - 1, end = (sizeof(first) - 1) * base * base * base;
	char text[5] = "", again[BASE64_SIZE(3)];
	uint8_t out[3];
	size_t n, ok = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < end; i++) {
		text[0] = first[i / (base * base * base)];
		text[1] = all[i / (base * base) % base];
		text[2] = all[i / base % base];
		text[3] = all[i % base];
		if (base64_decode(text, 4, out, sizeof(out), &n) == -1)
			continue;
		ok++;
		(void)base64_encode(out, n, again);
		assert_memory_equal(again, text, 4);
	}
	/* 12 first characters: with three octets, with two, with one. */
	assert_int_equal(ok, 12 * (64 * 64 * 64 + 64 * 16 + 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_one_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
