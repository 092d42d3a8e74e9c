/* SPDX-License-Identifier: ISC */
/*
 * A small JSON writer.
 *
 * Invariant: whatever the strings hold, what leaves here is valid JSON in
 * valid UTF-8, and no string ends early.
 */
#include "control/json.h"

#include <inttypes.h>
#include <string.h>

#include "control/smtpctl_text.h"

void
json_init(struct json *j, FILE *out)
{
	*j = (struct json){.out = out};
}

static void
put_string(FILE *out, const void *text, size_t len)
{
	const uint8_t *p = text;
	uint32_t c = 0;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = utf8_decode(p, len, &c);
		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			(void)fprintf(out, "\\u%04x", n == 0 ? *p : (unsigned int)c);
			if (n == 0)
				n = 1;
			continue;
		}
		if (c == '"' || c == '\\')
			(void)fputc('\\', out);
		(void)fwrite(p, 1, n, out);
	}
}

static void
put_key(struct json *j, const char *key)
{
	if (j->comma)
		(void)fputc(',', j->out);
	j->comma = true;
	if (key != NULL)
		(void)fprintf(j->out, "\"%s\":", key);
}

void
json_object(struct json *j, const char *key)
{
	put_key(j, key);
	(void)fputc('{', j->out);
	j->comma = false;
}

void
json_object_end(struct json *j)
{
	(void)fputc('}', j->out);
	j->comma = true;
}

void
json_array(struct json *j, const char *key)
{
	put_key(j, key);
	(void)fputc('[', j->out);
	j->comma = false;
}

void
json_array_end(struct json *j)
{
	(void)fputc(']', j->out);
	j->comma = true;
}

void
json_line_end(struct json *j)
{
	(void)fputc('\n', j->out);
	j->comma = false;
}

void
json_text(struct json *j, const char *key)
{
	put_key(j, key);
	(void)fputc('"', j->out);
}

void
json_text_add(struct json *j, const void *text, size_t len)
{
	put_string(j->out, text, len);
}

void
json_text_end(struct json *j)
{
	(void)fputc('"', j->out);
}

void
json_str(struct json *j, const char *key, const char *value)
{
	json_text(j, key);
	json_text_add(j, value, strlen(value));
	json_text_end(j);
}

void
json_u64(struct json *j, const char *key, uint64_t value)
{
	put_key(j, key);
	(void)fprintf(j->out, "%" PRIu64, value);
}

void
json_i64(struct json *j, const char *key, int64_t value)
{
	put_key(j, key);
	(void)fprintf(j->out, "%" PRId64, value);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	(void)fputs(value ? "true" : "false", j->out);
}
