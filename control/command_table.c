/* SPDX-License-Identifier: ISC */
/* What smtpctl can do, and how its words are understood.  Pure but for the help it prints. */
#include "control/command_table.h"

#include <stdio.h>
#include <string.h>

#include "control/show.h"
#include "control/smtpctl_act.h"
#include "control/smtpctl_encrypt.h"
#include "control/smtpctl_explain.h"
#include "control/smtpctl_find.h"
#include "control/smtpctl_oauth.h"
#include "control/smtpctl_table.h"
#include "lib/base/str.h"

static int help_run(struct ctl *ctl);

/* clang-format off */
const struct command commands[] = {
    {"show", "queue", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_queue,
	"what waits for delivery, recipient by recipient", "smtpctl show queue"},
    {"show", "message", ARGS_ID, COMMAND_JSON, ACCESS_VIEW, show_message,
	"one message: its envelope, its recipients, its text", "smtpctl show message 000000002a"},
    {"show", "status", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_status,
	"the processes, and what is paused", "smtpctl show status"},
    {"show", "sandbox", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_sandbox,
	"the rights of every process, declared beside actual", "smtpctl show sandbox"},
    {"show", "stats", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_stats,
	"the server's counters", "smtpctl show stats --json"},
    {"show", "clients", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_clients,
	"who is connected, and what each client did lately", "smtpctl show clients"},
    {"show", "certificates", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_certificates,
	"until when each is valid, who uses it, what is wrong", "smtpctl show certificates"},
    {"show", "logins", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_logins,
	"who failed to log in, and is blocked for it", "smtpctl show logins"},
    {"show", "limits", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_limits,
	"what bounds the mail that goes out, and how far it is used", "smtpctl show limits"},
    {"show", "tls", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, show_tls,
	"how well mail to each domain was protected, at best", "smtpctl show tls"},
    {"explain", NULL, ARGS_RECIPIENT, COMMAND_JSON | COMMAND_ENVELOPE, ACCESS_VIEW, explain_run,
	"how a recipient would be answered, where its mail goes, and why",
	"smtpctl explain -c 192.0.2.1 bob@example.org"},
    {"lookup", NULL, ARGS_FIND, COMMAND_JSON, ACCESS_VIEW, find_run,
	"what a table says", "smtpctl lookup users virtual bob@example.org"},
    {"update", "table", ARGS_TABLE, 0, ACCESS_OPERATE, act_update_table,
	"read a table's file again", "smtpctl update table users"},
    {"table", "build", ARGS_BUILD, COMMAND_LOCAL, ACCESS_NONE, table_build_run,
	"make an indexed file of a table's text", "smtpctl table build /etc/postern/users"},
    {"table", "dump", ARGS_INDEX, COMMAND_LOCAL, ACCESS_NONE, table_dump_run,
	"what an indexed file holds, as text", "smtpctl table dump /etc/postern/users.cdb"},
    {"table", "query", ARGS_QUERY, COMMAND_LOCAL, ACCESS_NONE, table_query_run,
	"what stands under a key of an indexed file",
	"smtpctl table query /etc/postern/users.cdb bob@example.org"},
    {"schedule", NULL, ARGS_ID_OR_ALL, 0, ACCESS_OPERATE, act_schedule,
	"try a message, or all, now", "smtpctl schedule all"},
    {"remove", NULL, ARGS_ID_OR_ALL, 0, ACCESS_ADMIN, act_remove,
	"delete a message, or all; nobody is told", "smtpctl remove 000000002a"},
    {"pause", NULL, ARGS_ID_OR_SERVICE, 0, ACCESS_OPERATE, act_pause,
	"stop taking mail in, sending it out, or one message", "smtpctl pause delivery"},
    {"resume", NULL, ARGS_ID_OR_SERVICE, 0, ACCESS_OPERATE, act_resume,
	"go on with what was paused", "smtpctl resume delivery"},
    {"clear", "clients", ARGS_CLIENT_OR_ALL, 0, ACCESS_OPERATE, act_clear_clients,
	"forget what a client, or any, did: it is limited no more",
	"smtpctl clear clients 192.0.2.1"},
    {"clear", "logins", ARGS_LOGIN_OR_ALL, 0, ACCESS_OPERATE, act_clear_logins,
	"forget how often an address or login, or any, failed",
	"smtpctl clear logins bob@example.org"},
    {"forget", "tls", ARGS_DOMAIN_OR_ALL, 0, ACCESS_ADMIN, act_forget_tls,
	"forget how well mail to a domain, or any, was protected",
	"smtpctl forget tls example.com"},
    {"oauth", "login", ARGS_LABEL, COMMAND_CONSENT, ACCESS_ADMIN, oauth_login_run,
	"get somebody's consent to send mail as that person", "smtpctl oauth login gmail"},
    {"oauth", "list", ARGS_NONE, COMMAND_JSON, ACCESS_VIEW, oauth_list_run,
	"whose consent is there, and what is wrong with it", "smtpctl oauth list"},
    {"oauth", "logout", ARGS_LABEL, 0, ACCESS_ADMIN, oauth_logout_run,
	"forget consent and tokens", "smtpctl oauth logout gmail"},
    {"encrypt", NULL, ARGS_STRING, COMMAND_METHOD | COMMAND_LOCAL, ACCESS_NONE, encrypt_run,
	"what a table keeps for a password or token", "smtpctl encrypt -m bcrypt"},
    {"monitor", NULL, ARGS_NONE, COMMAND_COUNT, ACCESS_VIEW, show_monitor,
	"one line of rates every second", "smtpctl monitor -n 10"},
    {"help", NULL, ARGS_COMMAND, COMMAND_LOCAL, ACCESS_NONE, help_run,
	"this list, or more on one command", "smtpctl help show queue"},
#ifdef TEST_HOOKS
    {"probe", NULL, ARGS_PROBE, 0, ACCESS_ADMIN, act_probe,
	"attempt a forbidden act in a process", "smtpctl probe session 3"},
#endif
};
/* clang-format on */

const size_t commands_count = NITEMS(commands);

static const struct {
	const char *text;
	int least, most;
	bool is_free; /* the command itself knows what may stand there */
} arg_rows[] = {
    [ARGS_NONE] = {"", 0, 0, false},
    [ARGS_ID] = {"ID", 1, 1, false},
    [ARGS_ID_OR_ALL] = {"ID|all", 1, 1, false},
    [ARGS_ID_OR_SERVICE] = {"smtp|delivery|ID", 1, 1, false},
    [ARGS_CLIENT_OR_ALL] = {"ADDRESS|all", 1, 1, false},
    [ARGS_LOGIN_OR_ALL] = {"[WHO|all]", 0, 1, false},
    [ARGS_DOMAIN_OR_ALL] = {"DOMAIN|all", 1, 1, false},
    [ARGS_LABEL] = {"LABEL", 1, 1, false},
    [ARGS_STRING] = {"[STRING]", 0, 1, true},
    [ARGS_TABLE] = {"NAME", 1, 1, false},
    [ARGS_RECIPIENT] = {"RECIPIENT", 1, 1, true},
    [ARGS_FIND] = {"NAME SERVICE KEY", 3, 3, true},
    [ARGS_BUILD] = {"TEXT [FILE]", 1, 2, true},
    [ARGS_INDEX] = {"FILE", 1, 1, true},
    [ARGS_QUERY] = {"FILE KEY", 2, 2, true},
    [ARGS_COMMAND] = {"[command]", 0, 2, true},
    [ARGS_PROBE] = {"ROLE N|count", 2, 2, true},
};

const char *
command_args_text(const struct command *command)
{
	return arg_rows[command->args].text;
}

/* -- words -- */

int
word_match(const char *s, const char *const *words)
{
	int found = WORD_UNKNOWN, i;

	if (*s == '\0')
		return WORD_UNKNOWN;
	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], s) == 0)
			return i;
		if (strncmp(words[i], s, strlen(s)) == 0)
			found = found == WORD_UNKNOWN ? i : WORD_AMBIGUOUS;
	}
	return found;
}

/* The verbs, or the objects of one verb, each once and in the table's order; NULL ends them. */
#define CANDIDATES_MAX NITEMS(commands)

static void
candidates(const char *verb, const char *words[CANDIDATES_MAX + 1])
{
	size_t i, n = 0;

	for (i = 0; i < NITEMS(commands); i++) {
		const struct command *c = &commands[i];
		const char *word = verb == NULL ? c->verb : c->object;

		if (verb != NULL && strcmp(c->verb, verb) != 0)
			continue;
		if (word != NULL && (n == 0 || strcmp(words[n - 1], word) != 0))
			words[n++] = word;
	}
	words[n] = NULL;
}

/* Adds those words that begin with prefix, by commas. */
static void
append_words(char *dst, size_t size, const char *const *words, const char *prefix)
{
	const char *between = " ";
	int i;

	for (i = 0; words[i] != NULL; i++) {
		size_t at = strlen(dst);

		if (strncmp(words[i], prefix, strlen(prefix)) != 0)
			continue;
		(void)snprintf(dst + at, size - at, "%s%s", between, words[i]);
		between = ", ";
	}
}

/* The word s among words; NULL with the reason. */
static const char *
pick_word(const char *s, const char *const *words, char error[COMMAND_ERROR_MAX])
{
	int i = word_match(s, words);
	const char *near;

	if (i >= 0)
		return words[i];
	if (i == WORD_AMBIGUOUS) {
		(void)snprintf(error, COMMAND_ERROR_MAX, "'%.64s' could be any of", s);
		append_words(error, COMMAND_ERROR_MAX, words, s);
		return NULL;
	}
	if ((near = str_nearest(s, words)) != NULL) {
		(void)snprintf(
		    error, COMMAND_ERROR_MAX, "unknown word '%.64s', did you mean '%s'?", s, near);
		return NULL;
	}
	(void)snprintf(error, COMMAND_ERROR_MAX, "unknown word '%.64s', expected one of", s);
	append_words(error, COMMAND_ERROR_MAX, words, "");
	return NULL;
}

static const struct command *
command_at(const char *verb, const char *object)
{
	size_t i;

	for (i = 0; i < NITEMS(commands); i++) {
		if (strcmp(commands[i].verb, verb) != 0)
			continue;
		if (object == NULL ? commands[i].object == NULL
				   : strcmp(commands[i].object, object) == 0)
			return &commands[i];
	}
	return NULL;
}

const struct command *
command_find(const char *const *words, int nwords, int *nused, char error[COMMAND_ERROR_MAX])
{
	const char *list[CANDIDATES_MAX + 1];
	const char *verb, *object;

	if (nwords == 0) {
		(void)snprintf(error, COMMAND_ERROR_MAX, "what shall it do? one of");
		candidates(NULL, list);
		append_words(error, COMMAND_ERROR_MAX, list, "");
		return NULL;
	}
	candidates(NULL, list);
	if ((verb = pick_word(words[0], list, error)) == NULL)
		return NULL;
	*nused = 1;
	candidates(verb, list);
	if (list[0] == NULL)
		return command_at(verb, NULL);
	if (nwords == 1) {
		(void)snprintf(error, COMMAND_ERROR_MAX, "%s what? one of", verb);
		append_words(error, COMMAND_ERROR_MAX, list, "");
		return NULL;
	}
	if ((object = pick_word(words[1], list, error)) == NULL)
		return NULL;
	*nused = 2;
	return command_at(verb, object);
}

/* -- arguments -- */

static int
parse_id(const char *s, const char *wanted, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_MESSAGE;
	if (str_id_parse(s, &ctl->id) == 0 && ctl->id > 0 && ctl->id <= IPC_ID_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX,
	    "'%.64s' is no %s; the id of a message looks like 000000002a, see 'smtpctl show queue'",
	    s, wanted);
	return -1;
}

static int
parse_all(struct ctl *ctl)
{
	ctl->target = TARGET_ALL;
	ctl->id = 0;
	ctl->address = "";
	return 0;
}

/* What an address is, the server knows. */
static int
parse_client(const char *s, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_CLIENT;
	ctl->address = s;
	if (s[0] != '\0' && strlen(s) <= IPC_WORD_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX, "'%.64s' is no %s; see 'smtpctl show clients'", s,
	    arg_rows[ARGS_CLIENT_OR_ALL].text);
	return -1;
}

static int
parse_login(const char *s, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_LOGIN;
	ctl->address = s;
	if (s[0] != '\0' && strlen(s) <= IPC_ADDRESS_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX,
	    "'%.64s' is no address or login; see 'smtpctl show logins'", s);
	return -1;
}

static int
parse_table(const char *s, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_TABLE;
	ctl->address = s;
	if (s[0] != '\0' && strlen(s) <= IPC_WORD_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX, "'%.64s' is no name of a table", s);
	return -1;
}

static int
parse_domain(const char *s, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_DOMAIN;
	ctl->address = s;
	if (s[0] != '\0' && strlen(s) <= IPC_NAME_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX, "'%.64s' is no domain; see 'smtpctl show tls'", s);
	return -1;
}

static int
parse_label(const char *s, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	ctl->target = TARGET_LABEL;
	ctl->address = s;
	if (s[0] != '\0' && strlen(s) <= IPC_WORD_MAX)
		return 0;
	(void)snprintf(error, COMMAND_ERROR_MAX,
	    "'%.64s' is no label of an \"oauth\"; see 'smtpctl oauth list'", s);
	return -1;
}

static int
parse_target(const char *s, enum command_args args, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	static const char *const services[] = {"smtp", "delivery", NULL};
	int i;

	if (strcmp(s, "all") == 0 && (args == ARGS_ID_OR_ALL || args == ARGS_CLIENT_OR_ALL ||
					 args == ARGS_LOGIN_OR_ALL || args == ARGS_DOMAIN_OR_ALL))
		return parse_all(ctl);
	if (args == ARGS_DOMAIN_OR_ALL)
		return parse_domain(s, ctl, error);
	if (args == ARGS_LABEL)
		return parse_label(s, ctl, error);
	if (args == ARGS_CLIENT_OR_ALL)
		return parse_client(s, ctl, error);
	if (args == ARGS_LOGIN_OR_ALL)
		return parse_login(s, ctl, error);
	if (args == ARGS_TABLE)
		return parse_table(s, ctl, error);
	/* An id is never shorter than ten digits, so "de" is no id. */
	if (args == ARGS_ID_OR_SERVICE && (i = word_match(s, services)) >= 0) {
		ctl->target = i == 0 ? TARGET_SMTP : TARGET_DELIVERY;
		return 0;
	}
	return parse_id(s, arg_rows[args].text, ctl, error);
}

int
command_parse_args(const struct command *command, struct ctl *ctl, char error[COMMAND_ERROR_MAX])
{
	int n = ctl->nwords - ctl->nused;
	const char *name = command->object == NULL ? command->verb : command->object;

	if (n < arg_rows[command->args].least) {
		(void)snprintf(error, COMMAND_ERROR_MAX, "'%s' needs %s; for example: %s", name,
		    command_args_text(command), command->example);
		return -1;
	}
	if (n > arg_rows[command->args].most) {
		(void)snprintf(error, COMMAND_ERROR_MAX, "'%.64s' is one word too many after '%s'",
		    ctl->words[ctl->nused + arg_rows[command->args].most], name);
		return -1;
	}
	if (n == 0 && command->args == ARGS_LOGIN_OR_ALL)
		return parse_all(ctl);
	if (n == 0 || arg_rows[command->args].is_free)
		return 0;
	return parse_target(ctl->words[ctl->nused], command->args, ctl, error);
}

/* -- help -- */

static void
command_line(FILE *out, const struct command *c)
{
	char words[64];

	(void)snprintf(words, sizeof(words), "%s%s%s%s%s", c->verb, c->object == NULL ? "" : " ",
	    c->object == NULL ? "" : c->object, c->args == ARGS_NONE ? "" : " ",
	    command_args_text(c));
	(void)fprintf(out, "  %-26s  %s\n", words, c->help);
}

void
command_usage(FILE *out)
{
	size_t i;

	(void)fputs("usage: smtpctl [-hq] [-s socket] command [--json]\n\n", out);
	for (i = 0; i < NITEMS(commands); i++)
		command_line(out, &commands[i]);
	(void)fputs("\nAny unambiguous beginning of a word will do: smtpctl sh q\n"
		    "  -s socket   the server's admin socket\n"
		    "  -q          say less\n"
		    "  --json      one JSON object a line, for every 'show', 'explain', 'lookup',\n"
		    "              'oauth list'\n"
		    "  --version   print the version\n",
	    out);
}

void
command_help(FILE *out, const struct command *c)
{
	static const char *const levels[] = {
	    [ACCESS_VIEW] = "view", [ACCESS_OPERATE] = "operate", [ACCESS_ADMIN] = "admin"};

	command_line(out, c);
	if (c->options & COMMAND_JSON)
		(void)fputs("  --json      one JSON object a line\n", out);
	if (c->options & COMMAND_COUNT)
		(void)fputs("  -n count    end after so many lines\n", out);
	if (c->options & COMMAND_METHOD)
		encrypt_help(out);
	if (c->options & COMMAND_ENVELOPE)
		explain_help(out);
	if (c->options & COMMAND_CONSENT)
		oauth_help(out);
	if (c->args == ARGS_FIND)
		find_help(out);
	if (c->level != ACCESS_NONE)
		(void)fprintf(out, "  needs       %s access\n", levels[c->level]);
	(void)fprintf(out, "  example     %s\n", c->example);
}

static int
help_run(struct ctl *ctl)
{
	const struct command *command;
	char error[COMMAND_ERROR_MAX];
	int nused, n = ctl->nwords - ctl->nused;

	if (n == 0) {
		command_usage(ctl->out);
		return EXIT_OK;
	}
	command = command_find(ctl->words + ctl->nused, n, &nused, error);
	if (command == NULL) {
		(void)fprintf(stderr, "smtpctl: %s\n", error);
		return EXIT_USAGE;
	}
	command_help(ctl->out, command);
	return EXIT_OK;
}
