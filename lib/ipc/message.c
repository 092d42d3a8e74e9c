/* SPDX-License-Identifier: ISC */
/*
 * The codec: one loop over a row of fields encodes, one decodes.
 *
 * Invariant: a message that message_decode() accepted has the exact length of
 * its fields, every number within its bound, every string terminated and free
 * of NULs; nothing points outside the frame.  Nothing here is fatal.
 */
#include "lib/ipc/message.h"

#include <errno.h>
#include <string.h>

struct route {
	uint8_t from, to;
};

struct row {
	const char *name, *purpose;
	bool wants_fd;
	uint8_t nfields, nroutes;
	const struct message_field *fields;
	const struct route *routes;
};

#define FIELD_ROW(kind, field, bound) {KIND_##kind, #field, (uint64_t)(bound)},
#define FIELDS_OF(name, fd, what, routes, fields) \
	static const struct message_field fields_##name[] = {fields{KIND_U8, NULL, 0}};
MESSAGES(FIELDS_OF, FIELD_ROW, MSG_IGNORE2)

#define ROUTE_ROW(from, to) {ROLE_##from, ROLE_##to},
#define ROUTES_OF(name, fd, what, routes, fields) \
	static const struct route routes_##name[] = {routes};
MESSAGES(ROUTES_OF, MSG_IGNORE3, ROUTE_ROW)

#define WANTS_FD   true
#define WANTS_NOFD false
#define TABLE_ROW(name, fd, what, routes, fields)                                                  \
	[MSG_##name] = {#name, what, WANTS_##fd, NITEMS(fields_##name) - 1, NITEMS(routes_##name), \
	    fields_##name, routes_##name},
static const struct row table[MSG__MAX] = {MESSAGES(TABLE_ROW, MSG_IGNORE3, MSG_IGNORE2)};

#define ROLE_WORD(role, word, program) [ROLE_##role] = word,
static const char *const role_words[ROLE__MAX] = {ROLES(ROLE_WORD)};
#define ROLE_PROGRAM(role, word, program) [ROLE_##role] = program,
static const char *const role_programs[ROLE__MAX] = {ROLES(ROLE_PROGRAM)};

const char *
message_name(enum message_type type)
{
	return type < MSG__MAX ? table[type].name : "unknown";
}

const char *
message_purpose(enum message_type type)
{
	return table[type].purpose;
}

bool
message_wants_fd(enum message_type type)
{
	return table[type].wants_fd;
}

const char *
role_word(enum role role)
{
	return role < ROLE__MAX ? role_words[role] : "unknown";
}

const char *
role_program(enum role role)
{
	return role_programs[role];
}

bool
message_allowed(enum message_type type, enum role from, enum role to)
{
	size_t i;

	if (type >= MSG__MAX)
		return false;
	for (i = 0; i < table[type].nroutes; i++)
		if (table[type].routes[i].from == from && table[type].routes[i].to == to)
			return true;
	return false;
}

bool
message_links(enum role a, enum role b)
{
	unsigned int type;

	for (type = 0; type < MSG__MAX; type++)
		if (message_allowed(type, a, b) || message_allowed(type, b, a))
			return true;
	return false;
}

const struct message_field *
message_fields(enum message_type type, size_t *n)
{
	*n = table[type].nfields;
	return table[type].fields;
}

bool
message_route(enum message_type type, size_t n, enum role *from, enum role *to)
{
	if (n >= table[type].nroutes)
		return false;
	*from = table[type].routes[n].from;
	*to = table[type].routes[n].to;
	return true;
}

static const uint8_t int_width[] = {[KIND_U8] = 1,
    [KIND_U16] = 2,
    [KIND_U32] = 4,
    [KIND_U64] = 8,
    [KIND_I64] = 8,
    [KIND_BOOL] = 1,
    [KIND_STR] = 2,
    [KIND_BYTES] = 4};

static void
put_int(uint8_t *p, uint64_t v, size_t width)
{
	size_t i;

	for (i = 0; i < width; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get_int(const uint8_t *p, size_t width)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < width; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* The number in a slot, whatever its width; for STR and BYTES the length. */
static uint64_t
slot_number(const struct message_field *f, const uint8_t *slot)
{
	switch (f->kind) {
	case KIND_U8:
		return *slot;
	case KIND_BOOL:
		return *(const bool *)slot;
	case KIND_U16:
		return *(const uint16_t *)(const void *)slot;
	case KIND_U32:
		return *(const uint32_t *)(const void *)slot;
	case KIND_U64:
	case KIND_I64:
		return *(const uint64_t *)(const void *)slot;
	case KIND_STR:
		return strlen(*(const char *const *)(const void *)slot);
	case KIND_BYTES:
		return ((const struct span *)(const void *)slot)->len;
	}
	return 0;
}

static bool
within(const struct message_field *f, uint64_t v)
{
	if (f->kind == KIND_I64)
		return (int64_t)v <= (int64_t)f->bound && (int64_t)v >= -(int64_t)f->bound;
	return v <= f->bound;
}

bool
message_fits(enum message_type type, const void *msg)
{
	const struct row *row = &table[type];
	const uint8_t *slot = (const uint8_t *)msg + MSG_SLOT;
	size_t i;

	for (i = 0; i < row->nfields; i++, slot += MSG_SLOT)
		if (!within(&row->fields[i], slot_number(&row->fields[i], slot)))
			return false;
	return true;
}

static int
encode_field(const struct message_field *f, const uint8_t *slot, struct buf *out)
{
	uint64_t v = slot_number(f, slot);
	uint8_t number[8];

	if (!within(f, v)) {
		errno = EINVAL;
		return -1;
	}
	put_int(number, v, int_width[f->kind]);
	if (buf_append(out, number, int_width[f->kind]) == -1)
		return -1;
	if (f->kind == KIND_STR)
		return buf_append(out, *(const char *const *)(const void *)slot, v + 1);
	if (f->kind == KIND_BYTES)
		return buf_append(out, ((const struct span *)(const void *)slot)->data, v);
	return 0;
}

int
message_encode(enum message_type type, const void *msg, struct buf *out)
{
	const struct row *row = &table[type];
	const uint8_t *slot = (const uint8_t *)msg + MSG_SLOT;
	size_t start = out->len, i;
	uint8_t header[MSG_HEADER_SIZE] = {0};
	uint8_t *p;

	if (buf_append(out, header, sizeof(header)) == -1)
		return -1;
	for (i = 0; i < row->nfields; i++, slot += MSG_SLOT)
		if (encode_field(&row->fields[i], slot, out) == -1) {
			out->len = start;
			return -1;
		}
	p = out->data + out->head + start;
	put_int(p, out->len - start, 4);
	put_int(p + 4, type, 2);
	p[6] = row->wants_fd;
	put_int(p + 8, *(const uint32_t *)msg, 4);
	return 0;
}

int
message_header(const uint8_t *data, size_t len, struct message_header *out)
{
	if (len < MSG_HEADER_SIZE)
		return 1;
	out->length = (uint32_t)get_int(data, 4);
	out->type = (enum message_type)get_int(data + 4, 2);
	out->has_fd = data[6] == 1;
	out->req = (uint32_t)get_int(data + 8, 4);
	if (out->length < MSG_HEADER_SIZE || out->length > MSG_FRAME_MAX || out->type >= MSG__MAX ||
	    data[6] > 1 || data[7] != 0 || out->has_fd != table[out->type].wants_fd) {
		errno = EPROTO;
		return -1;
	}
	return len < out->length ? 1 : 0;
}

static void
slot_set(const struct message_field *f, uint8_t *slot, uint64_t v)
{
	switch (f->kind) {
	case KIND_U8:
		*slot = (uint8_t)v;
		break;
	case KIND_BOOL:
		*(bool *)slot = v != 0;
		break;
	case KIND_U16:
		*(uint16_t *)(void *)slot = (uint16_t)v;
		break;
	case KIND_U32:
		*(uint32_t *)(void *)slot = (uint32_t)v;
		break;
	case KIND_U64:
	case KIND_I64:
		*(uint64_t *)(void *)slot = v;
		break;
	case KIND_STR:
	case KIND_BYTES:
		break;
	}
}

/* One field at p; returns how many octets it took, 0 when it is not right. */
static size_t
decode_field(const struct message_field *f, const uint8_t *p, size_t left, uint8_t *slot)
{
	size_t width = int_width[f->kind];
	uint64_t v;

	if (left < width)
		return 0;
	v = get_int(p, width);
	if (!within(f, v))
		return 0;
	p += width;
	left -= width;
	if (f->kind == KIND_STR) {
		if (left < v + 1 || p[v] != '\0' || memchr(p, '\0', v) != NULL)
			return 0;
		*(const char **)(void *)slot = (const char *)p;
		return width + v + 1;
	}
	if (f->kind == KIND_BYTES) {
		if (left < v)
			return 0;
		*(struct span *)(void *)slot = (struct span){p, v};
		return width + v;
	}
	slot_set(f, slot, v);
	return width;
}

int
message_decode(const struct message_header *h, const uint8_t *frame, union message *out)
{
	const struct row *row = &table[h->type];
	uint8_t *slot = (uint8_t *)out + MSG_SLOT;
	size_t at = MSG_HEADER_SIZE, i, n;

	out->req = h->req;
	for (i = 0; i < row->nfields; i++, slot += MSG_SLOT) {
		n = decode_field(&row->fields[i], frame + at, h->length - at, slot);
		if (n == 0)
			goto broken;
		at += n;
	}
	if (at == h->length)
		return 0;
broken:
	errno = EPROTO;
	return -1;
}
