/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_COMMAND_TABLE_H
#define CONTROL_COMMAND_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "control/access.h"
#include "control/smtpctl.h"

/* The commands of smtpctl: one row each; parser, help and manual page follow the table. */
enum command_args {
	ARGS_NONE,
	ARGS_ID,
	ARGS_ID_OR_ALL,
	ARGS_ID_OR_SERVICE, /* a message, smtp or delivery */
	ARGS_CLIENT_OR_ALL, /* an address or a network */
	ARGS_LOGIN_OR_ALL,  /* an address or a login; nothing is all, too */
	ARGS_DOMAIN_OR_ALL,
	ARGS_LABEL,  /* of an "oauth" */
	ARGS_STRING, /* any, or nothing */
	ARGS_TABLE,
	ARGS_RECIPIENT,
	ARGS_FIND,  /* a table, a service, a key */
	ARGS_BUILD, /* a table's text, and where its index goes */
	ARGS_INDEX,
	ARGS_QUERY,   /* an index, a key */
	ARGS_COMMAND, /* words of a command, or nothing */
	ARGS_PROBE
};

#define COMMAND_JSON	 0x1U  /* takes --json */
#define COMMAND_COUNT	 0x2U  /* takes -n */
#define COMMAND_METHOD	 0x4U  /* takes -m */
#define COMMAND_LOCAL	 0x8U  /* needs no server */
#define COMMAND_ENVELOPE 0x10U /* takes -c, -l, -H, -a, -f, -t */
#define COMMAND_CONSENT	 0x20U /* takes --browser, --paste, -p */

struct command {
	const char *verb, *object; /* "show", "queue"; object NULL: a verb of its own */
	enum command_args args;
	unsigned int options;
	enum access_level level;
	int (*run)(struct ctl *ctl);
	const char *help, *example;
};

extern const struct command commands[];
extern const size_t commands_count;

#define COMMAND_ERROR_MAX 512

/*
 * Finds the command that the first words name; any unambiguous beginning of a
 * word will do.  NULL with the reason in error; else *nused words were the command's.
 */
const struct command *
command_find(const char *const *words, int nwords, int *nused, char error[COMMAND_ERROR_MAX]);
/* Reads the words after the command into ctl->target and what goes with it; -1 with the reason. */
int command_parse_args(
    const struct command *command, struct ctl *ctl, char error[COMMAND_ERROR_MAX]) WARN_UNUSED;
/* "ID|all"; "" when it takes nothing */
const char *command_args_text(const struct command *command);

/* The index of the word that s or its beginning names; WORD_UNKNOWN or WORD_AMBIGUOUS. */
#define WORD_UNKNOWN   (-1)
#define WORD_AMBIGUOUS (-2)
int word_match(const char *s, const char *const *words);

void command_usage(FILE *out);
void command_help(FILE *out, const struct command *command);

#endif
