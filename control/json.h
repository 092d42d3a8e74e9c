/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Writes JSON (RFC 8259) as it goes: one object a line, nothing is held.
 * Strings are ASCII and valid UTF-8 as they are; control characters, and
 * octets that are no UTF-8, become \u00XX of their value, so that any bytes
 * give a valid document.
 *
 * A key is a literal of ours; NULL inside an array and for an object of its own.
 */
struct json {
	FILE *out;
	bool comma; /* the next value follows another */
};

void json_init(struct json *j, FILE *out);
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_line_end(struct json *j); /* after an object of its own */

void json_str(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);

/* A string in pieces; no piece may end within a UTF-8 character (see utf8_unfinished()). */
void json_text(struct json *j, const char *key);
void json_text_add(struct json *j, const void *text, size_t len);
void json_text_end(struct json *j);

#endif
