/* SPDX-License-Identifier: ISC */
/*
 * The trace field that every hop adds.
 *
 * Invariant: each value passes clean() or address_parse() before it is written,
 * so the field has exactly the clauses written here, on one logical line.
 * Nothing is fatal.
 */
#include "lib/mail/received.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"

#define FIELD_MAX  256 /* octets of one value, NUL included */
#define WORD_MAX   (2 * FIELD_MAX)
#define COLUMN_MAX 77
#define TAB_WIDTH  8

struct folder {
	struct buf *out;
	size_t column;
	bool failed;
};

static void
fold_text(struct folder *f, const char *s)
{
	if (buf_append_str(f->out, s) == -1)
		f->failed = true;
	f->column += strlen(s);
}

static void
fold_break(struct folder *f)
{
	fold_text(f, "\r\n\t");
	f->column = TAB_WIDTH;
}

/* A word after a space, or on a new line when this one is full. */
static void
fold_word(struct folder *f, const char *word)
{
	if (f->column > TAB_WIDTH && f->column + 1 + strlen(word) > COLUMN_MAX)
		fold_break(f);
	else if (f->column > TAB_WIDTH)
		fold_text(f, " ");
	fold_text(f, word);
}

/* Printable, and nothing that opens, closes or escapes a comment or an address. */
static const char *
clean(char dst[FIELD_MAX], const char *src, bool spaces)
{
	size_t n;

	for (n = 0; src[n] != '\0' && n < FIELD_MAX - 1; n++) {
		bool ok = src[n] > 0x20 && src[n] < 0x7f && strchr("()\\<>\";,", src[n]) == NULL;

		dst[n] = ok || (spaces && src[n] == ' ') ? src[n] : '?';
	}
	dst[n] = '\0';
	return dst;
}

/* "from helo (name [addr])" */
static void
write_from(struct folder *f, const struct received *r)
{
	char value[FIELD_MAX], word[WORD_MAX];
	const char *tag = strchr(r->client_addr, ':') != NULL ? "IPv6:" : "";

	if (r->helo[0] == '\0' && r->client_addr[0] == '\0')
		return;
	fold_word(f, "from");
	fold_word(f, r->helo[0] != '\0' ? clean(value, r->helo, false) : "unknown");
	if (r->client_addr[0] == '\0')
		return;
	(void)snprintf(word, sizeof(word), "(%s",
	    r->client_name[0] != '\0' ? clean(value, r->client_name, false) : "unknown");
	fold_word(f, word);
	(void)snprintf(word, sizeof(word), "[%s%s])", tag, clean(value, r->client_addr, false));
	fold_word(f, word);
	fold_break(f);
}

static void
write_clause(struct folder *f, const char *keyword, const char *value)
{
	char cleaned[FIELD_MAX], clause[WORD_MAX];

	if (value[0] == '\0')
		return;
	(void)snprintf(clause, sizeof(clause), "%s %s", keyword, clean(cleaned, value, false));
	fold_word(f, clause);
}

static void
write_comment(struct folder *f, const char *label, const char *comment)
{
	char value[FIELD_MAX], word[WORD_MAX];

	if (comment == NULL || comment[0] == '\0')
		return;
	(void)snprintf(word, sizeof(word), "(%s%s)", label, clean(value, comment, true));
	fold_word(f, word);
}

/* Written anew from its parts: what isn't an address isn't written. */
static void
write_for(struct folder *f, const struct received *r)
{
	unsigned flags = ADDRESS_BARE_POSTMASTER_OK | (r->smtputf8 ? ADDRESS_UTF8_OK : 0U);
	char text[ADDRESS_MAX + 1], word[ADDRESS_MAX + 8];
	struct address a;

	if (address_parse(r->for_addr, flags, &a) != ADDRESS_OK ||
	    address_format(&a, text, sizeof(text)) == -1)
		return;
	(void)snprintf(word, sizeof(word), "<%s>", text);
	fold_break(f);
	fold_word(f, "for");
	fold_word(f, word);
}

const char *
received_protocol(unsigned flags)
{
	static const char *const names[2][2][4] = {
	    {{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"}, {"LMTP", "LMTPS", "LMTPA", "LMTPSA"}},
	    {{"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
		{"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"}},
	};
	bool lmtp = (flags & RECEIVED_LMTP) != 0, utf8 = (flags & RECEIVED_UTF8) != 0;
	unsigned tls = (flags & RECEIVED_TLS) != 0 ? 1 : 0;
	unsigned auth = (flags & RECEIVED_AUTH) != 0 ? 2 : 0;

	if (!lmtp && (flags & RECEIVED_EXTENDED) == 0)
		return "SMTP";
	return names[utf8][lmtp][tls + auth];
}

int
received_format(const struct received *r, struct buf *out)
{
	struct folder f = {.out = out};
	char date[DATE_SIZE];

	if (date_format(date, sizeof(date), r->when) == -1)
		return -1;
	fold_text(&f, "Received:");
	write_from(&f, r);
	write_clause(&f, "by", r->by_host);
	write_clause(&f, "with", r->protocol);
	write_comment(&f, "", r->tls_comment);
	write_comment(&f, "Authenticated sender: ", r->auth);
	write_clause(&f, "id", r->id);
	write_for(&f, r);
	fold_text(&f, ";");
	fold_break(&f);
	fold_text(&f, date);
	fold_text(&f, "\r\n");
	return f.failed ? -1 : 0;
}
