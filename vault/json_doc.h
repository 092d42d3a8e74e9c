/* SPDX-License-Identifier: ISC */
#ifndef VAULT_JSON_DOC_H
#define VAULT_JSON_DOC_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

/*
 * Objects of JSON (RFC 8259) by Jansson, bounded: no more than JSON_TEXT_MAX octets, no
 * deeper than JSON_DEPTH_MAX, no name twice, no NUL in a string.  What Jansson had in
 * memory is wiped when it is given back.
 */
#define JSON_TEXT_MAX  16384
#define JSON_DEPTH_MAX 16

struct json_t;

/* Before anything else here, once a process, outside the sandbox or inside.  -1: no random numbers. */
int json_doc_prepare(void) WARN_UNUSED;

/* NULL: not such an object, or no memory. */
struct json_t *json_doc_read(const void *data, size_t len) WARN_UNUSED;
void json_doc_free(struct json_t *j); /* wipes; NULL is fine */
/* A member that is a string; NULL: there is none. */
const char *json_doc_text(const struct json_t *j, const char *name);
/* One that is a whole number within the bounds, or a string of its digits; other: there is none. */
int64_t
json_doc_number(const struct json_t *j, const char *name, int64_t min, int64_t max, int64_t other);

/* An object of members, to be written; a value NULL is left out.  -1: ENOMEM, or not UTF-8. */
struct json_t *json_doc_create(void) WARN_UNUSED;
int json_doc_add_text(struct json_t *j, const char *name, const char *value) WARN_UNUSED;
int json_doc_add_number(struct json_t *j, const char *name, int64_t value) WARN_UNUSED;
int json_doc_write(const struct json_t *j, struct buf *out) WARN_UNUSED;

#endif
