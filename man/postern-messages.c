/* SPDX-License-Identifier: ISC */
/*
 * Prints the table of lib/ipc/messages.h: as the manual page
 * postern-messages(7), or with --json for the tests, which speak the protocol
 * from the outside.  Nothing here is written by hand that the table knows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/ipc/message.h"

static const struct {
	const char *name, *text;
} kinds[] = {
    [KIND_U8] = {"U8", "number, 1 octet"},
    [KIND_U16] = {"U16", "number, 2 octets"},
    [KIND_U32] = {"U32", "number, 4 octets"},
    [KIND_U64] = {"U64", "number, 8 octets"},
    [KIND_I64] = {"I64", "signed number, 8 octets"},
    [KIND_BOOL] = {"BOOL", "0 or 1, 1 octet"},
    [KIND_STR] = {"STR", "text"},
    [KIND_BYTES] = {"BYTES", "octets"},
};

/* -- the manual page -- */

static const char page_head[] =
    ".\\\" SPDX-License-Identifier: ISC\n"
    ".\\\" Printed by man/postern-messages.c from lib/ipc/messages.h: change those.\n"
    ".Dd November 23, 2026\n"
    ".Dt POSTERN-MESSAGES 7\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm postern-messages\n"
    ".Nd what Postern's processes may say to each other\n"
    ".Sh DESCRIPTION\n"
    "The processes of a Postern mail server share no memory and no files.\n"
    "They talk by the messages below, over pairs of Unix stream sockets which\n"
    ".Xr smtpd 8\n"
    "makes.\n"
    "Two processes that no message connects have no socket between them.\n"
    ".Pp\n"
    "A message reaches its receiver only when its type, sender and receiver stand\n"
    "in this table, every field keeps its bound, no text contains a NUL, the\n"
    "length is exact, and a descriptor comes with it if and only if the table says\n"
    "so.\n"
    "A process that breaks these rules is cut off, and its peer logs\n"
    ".Ql event=peer-cut-off\n"
    "with the reason.\n"
    ".Sh FRAMES\n"
    "All numbers are little-endian.\n"
    "A frame begins with a header:\n"
    ".Pp\n"
    ".Bl -tag -width 10n -compact\n"
    ".It 4 octets\n"
    "length of the frame, header included; at most %d\n"
    ".It 2 octets\n"
    "type: the number of the message\n"
    ".It 1 octet\n"
    "1 when a descriptor comes with it, else 0\n"
    ".It 1 octet\n"
    "zero\n"
    ".It 4 octets\n"
    "number of the request; an answer repeats it\n"
    ".El\n"
    ".Pp\n"
    "The fields follow in order, without padding.\n"
    "Text is its length in 2 octets, the text, and a NUL that is not counted; other\n"
    "octets are their length in 4 octets, and themselves.\n"
    "Bounds are inclusive; those of text and octets are lengths.\n"
    ".Sh MESSAGES\n";

static const char page_tail[] = ".Sh SEE ALSO\n"
				".Xr smtpctl 8 ,\n"
				".Xr smtpd 8\n";

static void
print_bound(const struct message_field *f)
{
	if (f->kind == KIND_BOOL)
		return;
	if ((f->kind == KIND_U8 && f->bound == UINT8_MAX) ||
	    (f->kind == KIND_U16 && f->bound == UINT16_MAX) ||
	    (f->kind == KIND_U32 && f->bound == UINT32_MAX) ||
	    (f->kind == KIND_U64 && f->bound == UINT64_MAX) ||
	    (f->kind == KIND_I64 && f->bound == INT64_MAX))
		printf(", any");
	else
		printf(", at most %" PRIu64, f->bound);
}

static void
print_fields(enum message_type type)
{
	const struct message_field *f;
	size_t n, i;

	f = message_fields(type, &n);
	if (n == 0)
		return;
	printf(".Bl -tag -width 16n -offset 4n -compact\n");
	for (i = 0; i < n; i++) {
		printf(".It Va %s\n%s", f[i].name, kinds[f[i].kind].text);
		print_bound(&f[i]);
		printf("\n");
	}
	printf(".El\n");
}

/* How many routes from i on have the same sender, or, with by_to, the same receiver. */
static size_t
run_of(enum message_type type, size_t i, bool by_to)
{
	enum role from, to, f, t;
	size_t n = 1;

	(void)message_route(type, i, &from, &to);
	while (message_route(type, i + n, &f, &t) && (by_to ? t == to : f == from))
		n++;
	return n;
}

/* "parent to session, queue; session, queue to parent" */
static void
print_routes(enum message_type type)
{
	enum role from, to;
	size_t i, n, end;

	for (i = 0; message_route(type, i, &from, &to); i = end) {
		bool by_to = (n = run_of(type, i, true)) > 1;

		if (!by_to)
			n = run_of(type, i, false);
		end = i + n;
		printf("%s%s", i == 0 ? "" : ";\n", role_word(from));
		while (by_to && ++i < end && message_route(type, i, &from, &to))
			printf(", %s", role_word(from));
		printf(" to %s", role_word(to));
		while (!by_to && ++i < end && message_route(type, i, &from, &to))
			printf(", %s", role_word(to));
	}
	printf("\n");
}

static void
print_page(void)
{
	unsigned int i;

	printf(page_head, MSG_FRAME_MAX);
	printf(".Bl -tag -width 4n\n");
	for (i = 0; i < MSG__MAX; i++) {
		enum message_type type = (enum message_type)i;

		printf(".It Ic %s Pq type %u%s\n", message_name(type), i,
		    message_wants_fd(type) ? ", with a descriptor" : "");
		printf("%s\n.br\n", message_purpose(type));
		print_routes(type);
		print_fields(type);
	}
	printf(".El\n%s", page_tail);
}

/* -- JSON; no name in the table needs escaping -- */

static void
print_json_message(enum message_type type)
{
	const struct message_field *f;
	enum role from, to;
	size_t n, i;

	printf("  {\"name\": \"%s\", \"fd\": %s,\n   \"routes\": [", message_name(type),
	    message_wants_fd(type) ? "true" : "false");
	for (i = 0; message_route(type, i, &from, &to); i++)
		printf("%s[\"%s\", \"%s\"]", i == 0 ? "" : ", ", role_word(from), role_word(to));
	printf("],\n   \"fields\": [");
	f = message_fields(type, &n);
	for (i = 0; i < n; i++)
		printf("%s[\"%s\", \"%s\", %" PRIu64 "]", i == 0 ? "" : ", ", kinds[f[i].kind].name,
		    f[i].name, f[i].bound);
	printf("]}%s\n", type + 1 < MSG__MAX ? "," : "");
}

static void
print_json(void)
{
	unsigned int i;

	printf("{\"frame_max\": %d,\n \"roles\": [", MSG_FRAME_MAX);
	for (i = 0; i < ROLE__MAX; i++)
		printf("%s\"%s\"", i == 0 ? "" : ", ", role_word((enum role)i));
	printf("],\n \"messages\": [\n");
	for (i = 0; i < MSG__MAX; i++)
		print_json_message((enum message_type)i);
	printf(" ]\n}\n");
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--json") == 0)
		print_json();
	else if (argc == 1)
		print_page();
	else {
		(void)fprintf(stderr, "usage: postern-messages [--json]\n");
		return 1;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
