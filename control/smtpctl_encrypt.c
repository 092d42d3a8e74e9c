/* SPDX-License-Identifier: ISC */
/*
 * encrypt: from a password or token to the word that a table keeps for it.
 * No server is asked.
 *
 * Invariant: when anything is printed, the secret is in this process's memory
 * no more, nor in its command line; a token made here is printed itself, to
 * the terminal alone.
 */
#include "control/smtpctl_encrypt.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "control/smtpctl_secret.h"
#include "control/smtpctl_text.h"
#include "lib/secret/stored.h"

#define TOKEN_OCTETS 32 /* of a new one, random */

static void
append_methods(char *dst, size_t size)
{
	unsigned int m;

	dst[0] = '\0';
	for (m = 0; m < STORED_METHOD__MAX; m++) {
		size_t at = strlen(dst);

		(void)snprintf(dst + at, size - at, "%s%s", m == 0 ? "" : ", ",
		    stored_method_name((enum stored_method)m));
	}
}

void
encrypt_help(FILE *out)
{
	char methods[128];

	append_methods(methods, sizeof(methods));
	(void)fprintf(out, "  -m method   %s\n", methods);
}

static int
find_method(const struct ctl *ctl, enum stored_method *method)
{
	char methods[128];

	*method = STORED_YESCRYPT;
	if (ctl->method == NULL || stored_method_parse(ctl->method, method) == 0)
		return EXIT_OK;
	append_methods(methods, sizeof(methods));
	text_complain("-m %.64s: unknown method, expected one of %s", ctl->method, methods);
	return EXIT_USAGE;
}

/* From the command line, where it is overwritten at once: others can see it there. */
static enum secret_result
take_word(char *word, struct secret *out)
{
	out->len = strlen(word);
	if (out->len <= SECRET_MAX)
		memcpy(out->text, word, out->len + 1);
	explicit_bzero(word, strlen(word));
	if (out->len > SECRET_MAX)
		return SECRET_TOO_LONG;
	return out->len == 0 ? SECRET_NONE : SECRET_OK;
}

static enum secret_result
make_token(struct secret *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t octets[TOKEN_OCTETS];
	size_t i;

	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return SECRET_FAILED;
	out->len = 0;
	for (i = 0; i < sizeof(octets); i++) {
		out->text[out->len++] = digits[octets[i] >> 4];
		out->text[out->len++] = digits[octets[i] & 0xf];
	}
	out->text[out->len] = '\0';
	explicit_bzero(octets, sizeof(octets));
	return SECRET_OK;
}

/* Not by stdio, which would keep a copy. */
static enum secret_result
show_token(const struct secret *token)
{
	const struct iovec parts[] = {{(char[]){"token: "}, 7},
	    {(void *)(uintptr_t)token->text, token->len}, {(char[]){"\n"}, 1}};

	return writev(STDERR_FILENO, parts, NITEMS(parts)) == -1 ? SECRET_FAILED : SECRET_OK;
}

static enum secret_result
take_secret(struct ctl *ctl, enum stored_method method, struct secret *out)
{
	enum secret_result r;

	if (ctl->nwords > ctl->nused)
		return take_word(ctl->last_word, out);
	if (method != STORED_TOKEN || isatty(STDIN_FILENO) != 1)
		return secret_read(out);
	/* Nobody thinks of a good one: it is said once, and kept nowhere. */
	r = make_token(out);
	return r == SECRET_OK ? show_token(out) : r;
}

static int
make(enum stored_method method, const struct secret *secret, char dst[STORED_NEW_SIZE])
{
	if (stored_make(method, secret->text, secret->len, dst) == 0)
		return EXIT_OK;
	if (errno == EINVAL) {
		text_complain("too long for %s", stored_method_name(method));
		return EXIT_REFUSED;
	}
	text_complain("%s: %s", stored_method_name(method), strerror(errno));
	return EXIT_TEMPFAIL;
}

int
encrypt_run(struct ctl *ctl)
{
	enum stored_method method;
	enum secret_result r;
	struct secret secret;
	char word[STORED_NEW_SIZE];
	int status;

	if ((status = find_method(ctl, &method)) != EXIT_OK)
		return status;
	r = take_secret(ctl, method, &secret);
	if (r == SECRET_OK)
		status = make(method, &secret, word);
	secret_wipe(&secret);
	if (r != SECRET_OK) {
		text_complain("%s", secret_result_text(r));
		return r == SECRET_FAILED ? EXIT_TEMPFAIL : EXIT_REFUSED;
	}
	if (status == EXIT_OK)
		(void)fprintf(ctl->out, "%s\n", word);
	return status;
}
