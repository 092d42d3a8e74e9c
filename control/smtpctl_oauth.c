/* SPDX-License-Identifier: ISC */
/*
 * oauth login, list and logout.
 *
 * Invariant: no token ever comes here.  A code, which is of no use without what
 * the vault keeps to itself (RFC 7636), is passed on and overwritten.
 */
#include "control/smtpctl_oauth.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_browser.h"
#include "control/smtpctl_text.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define CONSENT_S  1920	  /* longer than the server waits for it */
#define BROWSER_MS 600000 /* for a browser, where the server sets no other term */

/* -- list -- */

#define LABEL_WIDTH 16
#define USER_WIDTH  31

struct oauth_listing {
	struct ctl *ctl;
	struct json json;
	uint64_t n, nalarms;
};

static void
oauth_heading(const struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-*s %-9s %-6s %-*s %7s %s", LABEL_WIDTH, "LABEL", "PROVIDER",
	    "GRANT", USER_WIDTH, "USER", "CONSENT", "TOKEN");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

/* As wide as its column, or as long as it is. */
static void
print_padded(FILE *out, const char *text, size_t width)
{
	size_t len = strlen(text);

	text_print_str(out, text);
	(void)fprintf(out, "%*s ", len < width ? (int)(width - len) : 0, "");
}

static void
oauth_line(const struct ctl *ctl, const struct msg_oauth_row *r)
{
	char age[TIME_AGE_SIZE] = "none", left[TIME_AGE_SIZE] = "none";

	if (r->consent && r->consent_s > 0)
		time_age(age, ctl->now_s > r->consent_s ? ctl->now_s - r->consent_s : 0);
	else if (r->consent)
		str_cut(age, sizeof(age), "given");
	if (r->expires_s > ctl->now_s)
		time_age(left, r->expires_s - ctl->now_s);
	print_padded(ctl->out, r->label, LABEL_WIDTH);
	print_padded(ctl->out, r->provider, 9);
	print_padded(ctl->out, r->grant, 6);
	print_padded(ctl->out, r->user, USER_WIDTH);
	(void)fprintf(ctl->out, "%7s %s\n", age, left);
	if (r->trouble[0] == '\0')
		return;
	(void)fputs("  ", ctl->out);
	show_tone_on(ctl, TONE_ALARM);
	text_print_str(ctl->out, r->trouble);
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
oauth_json(struct json *j, const struct msg_oauth_row *r)
{
	json_object(j, NULL);
	json_str(j, "label", r->label);
	json_str(j, "provider", r->provider);
	json_str(j, "user", r->user);
	json_str(j, "grant", r->grant);
	json_bool(j, "consent", r->consent);
	json_i64(j, "consented", r->consent_s);
	json_i64(j, "expires", r->expires_s);
	json_str(j, "trouble", r->trouble);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_row(void *arg, enum message_type type, const union message *msg)
{
	struct oauth_listing *l = arg;

	if (type != MSG_oauth_row)
		return type == MSG_oauth_end;
	if (!msg->oauth_row.consent || msg->oauth_row.trouble[0] != '\0')
		l->nalarms++;
	if (l->n++ == 0 && !l->ctl->json)
		oauth_heading(l->ctl);
	if (l->ctl->json)
		oauth_json(&l->json, &msg->oauth_row);
	else
		oauth_line(l->ctl, &msg->oauth_row);
	return false;
}

int
oauth_list_run(struct ctl *ctl)
{
	struct oauth_listing l = {.ctl = ctl};
	struct msg_oauth_list m = {0};
	int status;

	json_init(&l.json, ctl->out);
	status = client_ask(&ctl->client, MSG_oauth_list, &m, on_row, &l);
	if (status == EXIT_OK && l.n == 0 && !ctl->json && !ctl->quiet)
		(void)fputs("no \"oauth\" in the configuration\n", ctl->out);
	return status == EXIT_OK && l.nalarms > 0 ? EXIT_ALARM : status;
}

/* -- logout -- */

int
oauth_logout_run(struct ctl *ctl)
{
	struct msg_oauth_forget m = {.label = ctl->address};
	int status = client_ask(&ctl->client, MSG_oauth_forget, &m, NULL, NULL);

	if (status != EXIT_OK || ctl->quiet)
		return status;
	text_print_str(ctl->out, ctl->address);
	(void)fputs(": forgotten\n", ctl->out);
	return status;
}

/* -- login -- */

struct login {
	struct ctl *ctl;
	bool known, is_microsoft;
	char user[IPC_ADDRESS_MAX + 1];
	char redirect[IPC_NAME_MAX + 1];
	char url[IPC_URL_MAX + 1]; /* to be opened in a browser */
	int64_t expires_s;
	int status;
	struct browser browser;
};

static bool
on_known(void *arg, enum message_type type, const union message *msg)
{
	struct login *l = arg;
	const struct msg_oauth_row *r = &msg->oauth_row;

	if (type != MSG_oauth_row || strcmp(r->label, l->ctl->address) != 0)
		return type == MSG_oauth_end;
	l->known = true;
	l->is_microsoft = strcmp(r->provider, "microsoft") == 0;
	str_cut(l->user, sizeof(l->user), r->user);
	return false;
}

/* Microsoft lets an application be sent to any port of "localhost", and not of an address. */
static int
login_open(struct login *l)
{
	const struct ctl_consent *how = &l->ctl->consent;
	bool deaf = how->paste && !how->browser;

	if (browser_open(&l->browser, how->port, l->is_microsoft, deaf) == -1) {
		text_complain("no port on this host for the browser: %s", strerror(errno));
		return -1;
	}
	if (how->paste || !how->browser)
		l->browser.input = STDIN_FILENO;
	return str_format(l->redirect, sizeof(l->redirect), "http://%s:%u",
	    l->is_microsoft ? "localhost" : "127.0.0.1", l->browser.port);
}

static void
tell_device(const struct login *l, const struct msg_oauth_prompt *p)
{
	FILE *out = l->ctl->out;
	char left[TIME_AGE_SIZE];

	(void)fputs("Open this in any browser:\n\n  ", out);
	text_print_str(out, p->url);
	(void)fputs("\n\nlog in as ", out);
	text_print_str(out, l->user);
	(void)fputs(", and enter this code:\n\n  ", out);
	text_print_str(out, p->code);
	time_age(left, p->expires_s > l->ctl->now_s ? p->expires_s - l->ctl->now_s : 0);
	(void)fprintf(out, "\n\nIt is good for %s.  Waiting...\n", left);
	(void)fflush(out);
}

static void
tell_browser(const struct login *l)
{
	FILE *out = l->ctl->out;

	(void)fputs("Open this in a browser, and log in as ", out);
	text_print_str(out, l->user);
	(void)fputs(":\n\n  ", out);
	text_print_str(out, l->url);
	(void)fputs("\n\n", out);
	if (!l->browser.deaf)
		(void)fprintf(
		    out, "Waiting for it to come back to port %u of this host.\n", l->browser.port);
	if (l->browser.input != -1)
		(void)fputs("If the browser is on another host, paste here the address that it "
			    "ends at:\n",
		    out);
	(void)fflush(out);
}

static bool
on_login(void *arg, enum message_type type, const union message *msg)
{
	struct login *l = arg;

	if (type == MSG_oauth_done) {
		l->status = client_outcome(
		    (enum ipc_outcome)msg->oauth_done.outcome, msg->oauth_done.text);
		return true;
	}
	if (type != MSG_oauth_prompt)
		return false;
	if (msg->oauth_prompt.how == IPC_OAUTH_DEVICE)
		tell_device(l, &msg->oauth_prompt);
	if (msg->oauth_prompt.how != IPC_OAUTH_BROWSER)
		return false;
	str_cut(l->url, sizeof(l->url), msg->oauth_prompt.url);
	l->expires_s = msg->oauth_prompt.expires_s;
	return true;
}

/* What the browser came back with, to the vault. */
static int
login_exchange(struct login *l, struct redirect *got)
{
	struct msg_oauth_code m = {
	    .label = l->ctl->address, .code = got->code, .state = got->state};
	int status;

	l->ctl->client.wait_s = CONSENT_S;
	status = client_ask(&l->ctl->client, MSG_oauth_code, &m, on_login, l);
	return status == EXIT_OK ? l->status : status;
}

static int
login_wait(struct login *l)
{
	int64_t left_ms = l->expires_s > 0 ? (l->expires_s - l->ctl->now_s) * 1000 : BROWSER_MS;
	struct redirect asked, got;
	int status = EXIT_REFUSED;

	(void)redirect_of_url(l->url, strlen(l->url), &asked);
	if (asked.state[0] == '\0') {
		text_complain("the server's URL has no state");
		return EXIT_REFUSED;
	}
	tell_browser(l);
	switch (browser_wait(&l->browser, asked.state, time_mono_ms() + left_ms, &got)) {
	case BROWSER_CODE:
		status = login_exchange(l, &got);
		break;
	case BROWSER_REFUSED:
		text_complain("no consent: %s", got.error);
		break;
	case BROWSER_LATE:
		text_complain("nobody gave consent in time");
		break;
	case BROWSER_NOBODY:
		text_complain("no code was given");
		break;
	case BROWSER_FAILED:
		text_complain("can't wait for the browser: %s", strerror(errno));
		break;
	}
	explicit_bzero(&got, sizeof(got));
	return status;
}

static int
login_ask(struct login *l)
{
	struct msg_oauth_login m = {.label = l->ctl->address, .redirect = l->redirect};
	int status;

	l->ctl->client.wait_s = CONSENT_S;
	status = client_ask(&l->ctl->client, MSG_oauth_login, &m, on_login, l);
	if (status != EXIT_OK || l->status != EXIT_OK)
		return status != EXIT_OK ? status : l->status;
	return l->url[0] == '\0' ? EXIT_OK : login_wait(l);
}

int
oauth_login_run(struct ctl *ctl)
{
	static struct login l;
	struct msg_oauth_list list = {0};
	int status;

	l.ctl = ctl;
	if ((status = client_ask(&ctl->client, MSG_oauth_list, &list, on_known, &l)) != EXIT_OK)
		return status;
	if (!l.known) {
		text_complain("there is no \"oauth %s\" in the configuration; see 'smtpctl oauth "
			      "list'",
		    ctl->address);
		return EXIT_REFUSED;
	}
	if (login_open(&l) == -1)
		return EXIT_REFUSED;
	status = login_ask(&l);
	browser_close(&l.browser);
	if (status == EXIT_OK && !ctl->quiet) {
		text_print_str(ctl->out, ctl->address);
		(void)fputs(": mail can be sent as ", ctl->out);
		text_print_str(ctl->out, l.user);
		(void)fputc('\n', ctl->out);
	}
	return status;
}

void
oauth_help(FILE *out)
{
	(void)fputs("  --browser   wait for the browser alone, on a port of this host\n"
		    "  --paste     read from the terminal alone where the browser ended\n"
		    "  -p port     the port for the browser to come back to\n",
	    out);
}
