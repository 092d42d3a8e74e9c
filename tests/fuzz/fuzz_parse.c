/* SPDX-License-Identifier: ISC */
/* SMTP command lines: nothing that is accepted holds a control octet. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			abort();
}

static void
check_mail(const struct mail_args *m)
{
	check_clean(m->from.local);
	check_clean(m->from.domain);
	check_clean(m->envid);
	check_clean(m->auth);
	if (m->size > INT64_MAX || m->priority < -9 || m->priority > 9)
		abort();
	if (m->has_hold != (m->hold_for_s > 0 || m->hold_until_s > 0) ||
	    (m->hold_for_s != 0 && m->hold_until_s != 0) || m->hold_for_s < 0 ||
	    m->hold_until_s < 0)
		abort();
	if (m->by_s < -999999999 || m->by_s > 999999999 || (m->by_mode == 'R' && m->by_s <= 0) ||
	    m->has_by != (m->by_mode == 'R' || m->by_mode == 'N'))
		abort();
}

static void
check_xclient(const char *arg)
{
	struct xclient_args x;
	const char **members[] = {
	    &x.addr, &x.port, &x.name, &x.helo, &x.proto, &x.login, &x.destaddr, &x.destport};
	size_t i, given = 0;

	if (parse_xclient(arg, &x) != PARSE_OK)
		return;
	for (i = 0; i < NITEMS(members); i++) {
		if (*members[i] == NULL)
			continue;
		given++;
		if (*members[i] < x.text || *members[i] >= x.text + sizeof(x.text))
			abort();
		check_clean(*members[i]);
		if (strchr(*members[i], ' ') != NULL)
			abort();
	}
	if (given == 0)
		abort();
}

static void
check_arguments(const struct command *c)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	struct mail_args m;
	struct rcpt_args r;
	uint64_t size;
	bool last;

	if (parse_mail(c->arg, &m) == PARSE_OK)
		check_mail(&m);
	if (parse_rcpt(c->arg, c->has_8bit, &r) == PARSE_OK) {
		check_clean(r.to.local);
		check_clean(r.to.domain);
		check_clean(r.orcpt);
	}
	check_xclient(c->arg);
	if (parse_hello(c, name) == PARSE_OK && (name[0] == '\0' || strpbrk(name, " ()\r\n")))
		abort();
	if (parse_bdat(c, &size, &last) == PARSE_OK && size > INT64_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command c;
	char *line;

	if ((line = malloc(size + 1)) == NULL)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	parse_command(line, size, &c);
	check_arguments(&c);
	free(line);
	return 0;
}
