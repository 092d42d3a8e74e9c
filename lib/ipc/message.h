/* SPDX-License-Identifier: ISC */
#ifndef LIB_IPC_MESSAGE_H
#define LIB_IPC_MESSAGE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * What the table in messages.h becomes: MSG_<name>, struct msg_<name>, and
 * the encoder and decoder that check every bound.
 *
 * On the wire, all integers little-endian:
 *   u32 length of the frame, this header included
 *   u16 type   u8 1 when a descriptor comes with it   u8 zero   u32 req
 *   the fields in order: integers in their own width, BOOL one octet,
 *   STR u16 length + octets + NUL, BYTES u32 length + octets.
 */
#define MSG_ENUM(name, fd, what, routes, fields) MSG_##name,
#define MSG_IGNORE2(a, b)
#define MSG_IGNORE3(a, b, c)
enum message_type { MESSAGES(MSG_ENUM, MSG_IGNORE3, MSG_IGNORE2) MSG__MAX };
#undef MSG_ENUM

/* Each field has a slot of 16 octets, so that the codec needs no offsets. */
#define MSG_SLOT		       16
#define MSG_CTYPE_U8		       uint8_t
#define MSG_CTYPE_U16		       uint16_t
#define MSG_CTYPE_U32		       uint32_t
#define MSG_CTYPE_U64		       uint64_t
#define MSG_CTYPE_I64		       int64_t
#define MSG_CTYPE_BOOL		       bool
#define MSG_CTYPE_STR		       const char *
#define MSG_CTYPE_BYTES		       struct span
#define MSG_MEMBER(kind, field, bound) alignas(MSG_SLOT) MSG_CTYPE_##kind field;
#define MSG_STRUCT(name, fd, what, routes, fields) \
	struct msg_##name {                        \
		uint32_t req;                      \
		fields                             \
	};
MESSAGES(MSG_STRUCT, MSG_MEMBER, MSG_IGNORE2)
#undef MSG_STRUCT

#define MSG_UNION(name, fd, what, routes, fields) struct msg_##name name;
union message {
	uint32_t req;
	MESSAGES(MSG_UNION, MSG_IGNORE3, MSG_IGNORE2)
};
#undef MSG_UNION

#define MSG_HEADER_SIZE 12
#define MSG_FRAME_MAX	(IPC_CHUNK_MAX + 4096)

struct message_header {
	uint32_t length;
	enum message_type type;
	bool has_fd;
	uint32_t req;
};

const char *message_name(enum message_type type);
const char *message_purpose(enum message_type type);
bool message_wants_fd(enum message_type type);
/* The permission table: may `from` send it to `to`? */
bool message_allowed(enum message_type type, enum role from, enum role to);
/* Is there any message between the two, so that the parent must link them? */
bool message_links(enum role a, enum role b);
const char *role_word(enum role role);
const char *role_program(enum role role);

/* Appends a frame.  -1: EINVAL (a field out of its bounds: our own defect), ENOBUFS, ENOMEM. */
int message_encode(enum message_type type, const void *msg, struct buf *out) WARN_UNUSED;
/* Would message_encode() take it?  Every field within its bounds. */
bool message_fits(enum message_type type, const void *msg);
/* 0 and the header; 1: more bytes are needed; -1: not a frame (EPROTO). */
int message_header(const uint8_t *data, size_t len, struct message_header *out) WARN_UNUSED;
/* Decodes a whole frame (header checked before).  -1 with EPROTO: any bound broken. */
int message_decode(
    const struct message_header *h, const uint8_t *frame, union message *out) WARN_UNUSED;

/* The fields, for the manual page and the tests. */
enum message_kind {
	KIND_U8,
	KIND_U16,
	KIND_U32,
	KIND_U64,
	KIND_I64,
	KIND_BOOL,
	KIND_STR,
	KIND_BYTES
};
struct message_field {
	enum message_kind kind;
	const char *name;
	uint64_t bound;
};
const struct message_field *message_fields(enum message_type type, size_t *n);
/* The n-th route, false when there are no more. */
bool message_route(enum message_type type, size_t n, enum role *from, enum role *to);

#endif
