/* SPDX-License-Identifier: ISC */
/*
 * What smtpctl makes of bytes from mail: JSON strings that stay one string of
 * valid UTF-8, text that steers no terminal, and pairs that keep to their room.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/json.h"
#include "control/smtpctl_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct output {
	FILE *file;
	char *text;
	size_t len;
};

static void
output_open(struct output *o)
{
	if ((o->file = open_memstream(&o->text, &o->len)) == NULL)
		abort();
}

/* Every character is whole, none is a control character but those allowed. */
static void
check_characters(const struct output *o, const char *allowed)
{
	const uint8_t *p = (const uint8_t *)o->text, *end = p + o->len;
	uint32_t c = 0;
	size_t n;

	for (; p < end; p += n) {
		if ((n = utf8_decode(p, (size_t)(end - p), &c)) == 0)
			abort();
		if ((c < 0x20 || (c >= 0x7f && c < 0xa0)) &&
		    (c == 0 || c > 0x7f || strchr(allowed, (int)c) == NULL))
			abort();
	}
}

/* {"k":"..."} where the string ends at the last quote and not before. */
static void
check_one_string(const struct output *o)
{
	size_t i;

	if (o->len < 9 || memcmp(o->text, "{\"k\":\"", 6) != 0 ||
	    memcmp(o->text + o->len - 3, "\"}\n", 3) != 0)
		abort();
	for (i = 6; i < o->len - 3; i++) {
		if (o->text[i] == '"')
			abort();
		if (o->text[i] == '\\' &&
		    (++i == o->len - 3 || strchr("\"\\u", o->text[i]) == NULL))
			abort();
	}
}

/* In two pieces, as a message's text comes: the seam must not show. */
static void
write_json(struct output *o, const uint8_t *data, size_t size, size_t cut)
{
	struct json j;
	size_t held = utf8_unfinished(data, cut);

	output_open(o);
	json_init(&j, o->file);
	json_object(&j, NULL);
	json_text(&j, "k");
	json_text_add(&j, data, cut - held);
	json_text_add(&j, data + (cut - held), size - (cut - held));
	json_text_end(&j);
	json_object_end(&j);
	json_line_end(&j);
	(void)fclose(o->file);
}

static void
try_json(const uint8_t *data, size_t size)
{
	struct output whole, pieces;

	write_json(&whole, data, size, 0);
	write_json(&pieces, data, size, size / 2);
	check_characters(&whole, "\n");
	check_one_string(&whole);
	if (whole.len != pieces.len || memcmp(whole.text, pieces.text, whole.len) != 0)
		abort();
	free(whole.text);
	free(pieces.text);
}

static void
try_text(const uint8_t *data, size_t size, bool keep_lines)
{
	struct output o;

	output_open(&o);
	text_print(o.file, data, size, keep_lines);
	(void)fclose(o.file);
	check_characters(&o, keep_lines ? "\n\t" : "");
	free(o.text);
}

static void
try_pairs(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	const char *p = line;
	struct text_pair pair;
	size_t n = 0;

	if (line == NULL)
		return;
	memcpy(line, data, size);
	line[size] = '\0';
	while (text_pair_next(&p, &pair))
		if (++n > size || strlen(pair.key) >= sizeof(pair.key))
			abort();
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_json(data, size);
	try_text(data, size, true);
	try_text(data, size, false);
	try_pairs(data, size);
	return 0;
}
