/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_HEADER_H
#define LIB_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADER_NAME_MAX 16 /* the longest field name looked for, and one */

/*
 * Reads the header of a message that arrives in chunks of any size, in constant
 * memory.  The results stand in the struct at any time; they are final once
 * done is set, which the empty line does, or a line that is no field, or
 * header_scan_end() at the end of a message that has neither.
 */
struct header_scan {
	/* results */
	unsigned received;     /* Received fields, for RFC 5321 6.3 */
	unsigned delivered_to; /* Delivered-To fields that hold the address given */
	bool has_date, has_message_id, has_from;
	bool done;
	bool empty_line; /* that is what ended it */
	uint64_t size;	 /* octets of all fields, CRLFs included, the empty line not */

	/* the machine's own */
	const char *address;
	uint8_t state, field, match, name_len;
	bool first;
	char name[HEADER_NAME_MAX];
	uint64_t seen; /* octets fed */
	size_t at;     /* octets of address found so far in a Delivered-To */
};

/* address: the one to look for in Delivered-To, or NULL; it must outlive the scan. */
void header_scan_init(struct header_scan *s, const char *address);
void header_scan_feed(struct header_scan *s, const void *data, size_t len);
void header_scan_end(struct header_scan *s);

#endif
