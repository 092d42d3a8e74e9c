/* SPDX-License-Identifier: ISC */
/*
 * smtpctl: the admin's command.  Options, then one row of the command table.
 * It runs with the rights of whoever calls it and is never set-id: what may
 * be done is decided by smtpd-control alone.
 */
#include "control/smtpctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/command_table.h"
#include "control/smtpctl_text.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#ifndef PATH_SOCKET
#define PATH_SOCKET "/run/postern/smtpd.sock"
#endif
#ifndef VERSION
#define VERSION "0.1"
#endif

enum option {
	OPTION_SOCKET,
	OPTION_COUNT,
	OPTION_METHOD,
	OPTION_CLIENT,
	OPTION_LISTENER,
	OPTION_HELO,
	OPTION_LOGIN,
	OPTION_SENDER,
	OPTION_TLS,
	OPTION_BROWSER,
	OPTION_PASTE,
	OPTION_PORT,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct {
	const char *text;
	enum option option;
	bool has_value;
} options[] = {
    {"-s", OPTION_SOCKET, true},
    {"-n", OPTION_COUNT, true},
    {"-m", OPTION_METHOD, true},
    {"-c", OPTION_CLIENT, true},
    {"-l", OPTION_LISTENER, true},
    {"-H", OPTION_HELO, true},
    {"-a", OPTION_LOGIN, true},
    {"-f", OPTION_SENDER, true},
    {"-t", OPTION_TLS, false},
    {"--browser", OPTION_BROWSER, false},
    {"--paste", OPTION_PASTE, false},
    {"-p", OPTION_PORT, true},
    {"--json", OPTION_JSON, false},
    {"-q", OPTION_QUIET, false},
    {"-h", OPTION_HELP, false},
    {"--help", OPTION_HELP, false},
    {"--version", OPTION_VERSION, false},
};

struct request {
	struct ctl *ctl;
	const char *path;
	bool help, version;
};

static int
take_port(const char *value, uint16_t *port)
{
	uint64_t n;

	if (str_u64(value, 1, UINT16_MAX, &n) == -1) {
		text_complain("-p %s: not a port", value);
		return -1;
	}
	*port = (uint16_t)n;
	return 0;
}

static int
take_option(struct request *r, enum option option, const char *value)
{
	switch (option) {
	case OPTION_SOCKET:
		r->path = value;
		break;
	case OPTION_COUNT:
		if (str_u64(value, 1, UINT32_MAX, &r->ctl->count) == -1) {
			text_complain("-n %s: not a number of lines", value);
			return -1;
		}
		break;
	case OPTION_METHOD:
		r->ctl->method = value;
		break;
	case OPTION_CLIENT:
		r->ctl->envelope.client = value;
		break;
	case OPTION_LISTENER:
		r->ctl->envelope.listener = value;
		break;
	case OPTION_HELO:
		r->ctl->envelope.helo = value;
		break;
	case OPTION_LOGIN:
		r->ctl->envelope.login = value;
		break;
	case OPTION_SENDER:
		r->ctl->envelope.sender = value;
		break;
	case OPTION_TLS:
		r->ctl->envelope.tls = true;
		break;
	case OPTION_BROWSER:
		r->ctl->consent.browser = true;
		break;
	case OPTION_PASTE:
		r->ctl->consent.paste = true;
		break;
	case OPTION_PORT:
		return take_port(value, &r->ctl->consent.port);
	case OPTION_JSON:
		r->ctl->json = true;
		break;
	case OPTION_QUIET:
		r->ctl->quiet = true;
		break;
	case OPTION_HELP:
		r->help = true;
		break;
	case OPTION_VERSION:
		r->version = true;
		break;
	}
	return 0;
}

/* The option at argv[0]; how many arguments it took, -1 when there is something wrong. */
static int
parse_option(struct request *r, char **argv)
{
	size_t i;

	for (i = 0; i < NITEMS(options); i++) {
		if (strcmp(argv[0], options[i].text) != 0)
			continue;
		if (options[i].has_value && argv[1] == NULL) {
			text_complain("%s needs a value", argv[0]);
			return -1;
		}
		if (take_option(r, options[i].option, argv[1]) == -1)
			return -1;
		return options[i].has_value ? 2 : 1;
	}
	text_complain("unknown option %s; see 'smtpctl help'", argv[0]);
	return -1;
}

/* Options may stand anywhere, before the command and after it, until "--" ends them. */
static int
parse_line(struct request *r, char **argv)
{
	struct ctl *ctl = r->ctl;
	bool options_end = false;
	int n;

	while (*argv != NULL) {
		if (!options_end && strcmp(*argv, "--") == 0) {
			options_end = true;
			argv++;
			continue;
		}
		if (!options_end && argv[0][0] == '-' && argv[0][1] != '\0') {
			if ((n = parse_option(r, argv)) == -1)
				return -1;
			argv += n;
			continue;
		}
		if (ctl->nwords == CTL_WORDS_MAX) {
			text_complain("too many words");
			return -1;
		}
		ctl->last_word = *argv;
		ctl->words[ctl->nwords++] = *argv++;
	}
	return 0;
}

static void
look_at_output(struct ctl *ctl)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

	ctl->out = stdout;
	ctl->terminal = isatty(STDOUT_FILENO) == 1;
	ctl->colour = ctl->terminal && !ctl->json && term != NULL && strcmp(term, "dumb") != 0 &&
		      (no_colour == NULL || no_colour[0] == '\0');
}

/* The option that was given and that the command does not take; NULL: none. */
static const char *
option_refused(const struct ctl *ctl, const struct command *command)
{
	const struct ctl_envelope *e = &ctl->envelope;
	const struct {
		const char *text;
		bool given;
		unsigned int allowed;
	} rows[] = {
	    {"--json", ctl->json, COMMAND_JSON},
	    {"-n", ctl->count > 0, COMMAND_COUNT},
	    {"-m", ctl->method != NULL, COMMAND_METHOD},
	    {"-c", e->client != NULL, COMMAND_ENVELOPE},
	    {"-l", e->listener != NULL, COMMAND_ENVELOPE},
	    {"-H", e->helo != NULL, COMMAND_ENVELOPE},
	    {"-a", e->login != NULL, COMMAND_ENVELOPE},
	    {"-f", e->sender != NULL, COMMAND_ENVELOPE},
	    {"-t", e->tls, COMMAND_ENVELOPE},
	    {"--browser", ctl->consent.browser, COMMAND_CONSENT},
	    {"--paste", ctl->consent.paste, COMMAND_CONSENT},
	    {"-p", ctl->consent.port != 0, COMMAND_CONSENT},
	};
	size_t i;

	for (i = 0; i < NITEMS(rows); i++)
		if (rows[i].given && !(command->options & rows[i].allowed))
			return rows[i].text;
	return NULL;
}

static int
run(struct request *r)
{
	struct ctl *ctl = r->ctl;
	const struct command *command;
	char error[COMMAND_ERROR_MAX];
	const char *refused;
	int status;

	if ((command = command_find(ctl->words, ctl->nwords, &ctl->nused, error)) == NULL) {
		text_complain("%s", error);
		return EXIT_USAGE;
	}
	if (r->help) {
		command_help(ctl->out, command);
		return EXIT_OK;
	}
	if (command_parse_args(command, ctl, error) == -1) {
		text_complain("%s", error);
		return EXIT_USAGE;
	}
	if ((refused = option_refused(ctl, command)) != NULL) {
		text_complain("'%s' does not take %s", command->verb, refused);
		return EXIT_USAGE;
	}
	client_init(&ctl->client, r->path);
	status = command->run(ctl);
	client_free(&ctl->client);
	return status;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = {.now_s = time_wall_s()};
	struct request r = {.ctl = &ctl, .path = PATH_SOCKET};
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int status;

	name = name == NULL ? argv[0] : name + 1;
	if (argc > 0 && strcmp(name, "mailq") == 0) {
		ctl.words[ctl.nwords++] = "show";
		ctl.words[ctl.nwords++] = "queue";
	}
	if (argc < 1 || parse_line(&r, argv + 1) == -1)
		return EXIT_USAGE;
	look_at_output(&ctl);
	if (r.version)
		(void)printf("smtpctl %s\n", VERSION);
	else if (r.help && ctl.nwords == 0)
		command_usage(stdout);
	if (r.version || (r.help && ctl.nwords == 0))
		status = EXIT_OK;
	else
		status = run(&r);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		text_complain("can't write: %s", strerror(errno));
		return status == EXIT_OK ? EXIT_REFUSED : status;
	}
	return status;
}
