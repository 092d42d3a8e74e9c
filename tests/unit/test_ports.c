/* SPDX-License-Identifier: ISC */
/* Which ports a process may connect to, by what smtpd.conf says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "smtpd/smtpd.h"

#define OAUTH "user a@b client-id i "

static const struct {
	enum role_ports which;
	const char *text, *ports; /* "%s" in the text is a file, see file_text */
} cases[] = {
    {PORTS_NONE, "action a relay", ""},
    {PORTS_SMTP, "", "25"},
    {PORTS_SMTP, "action a relay", "25"},
    {PORTS_SMTP, "action a relay host h", "25"},
    {PORTS_SMTP, "action a relay host smtps://h", "25 465"},
    {PORTS_SMTP, "action a relay host smtp+tls://h:587", "25 587"},
    {PORTS_SMTP, "action a relay host \"[2001:db8::1]\"", "25"},
    {PORTS_SMTP, "action a relay host \"smtps://[2001:db8::1]:2525\"", "25 2525"},
    {PORTS_SMTP, "action a relay host lmtp://h:24", "25 24"},
    {PORTS_SMTP, "action a relay host { h:26, smtps://i }", "25 26 465"},
    {PORTS_SMTP, "action a relay host { \"*\" = \"h:26, i:27\" }", "25 26 27"},
    {PORTS_SMTP, "action a relay domain { \"*\" = h:26 }", "25 26"},
    {PORTS_SMTP, "action a relay proxy socks5://192.0.2.1:1080", "25 1080"},
    {PORTS_SMTP, "action a relay proxy \"socks5://[::1]:1080\"", "25 1080"},
    {PORTS_SMTP, "action a lmtp /run/x", "25"},
    {PORTS_SMTP, "action a lmtp localhost:24", "25 24"},
    {PORTS_SMTP, "table t file:%s\naction a relay host <t>", "25 26 2525 465 587"},
    {PORTS_SMTP, "table t file:/nowhere\naction a relay host <t>", "25 465 587"},
    {PORTS_SMTP, "table t cdb:/nowhere\naction a relay domain <t>", "25 465 587"},
    {PORTS_OAUTH, "oauth o provider google " OAUTH, "443"},
    {PORTS_OAUTH, "oauth o grant device device-url https://h:8443/a:1 token-url https://h/ " OAUTH,
	"8443 443"},
    {PORTS_OAUTH, "oauth o auth-url https://h:8443/ token-url \"https://[::1]:444/\" " OAUTH,
	"444"},
    {PORTS_RESOLVER, "", "53"},
    {PORTS_RESOLVER, "resolver forward 192.0.2.1@54, 192.0.2.2", "53 54"},
    {PORTS_TABLES, "", ""},
};

static const char file_text[] = "@one.example\tone.example:26\n"
				"# nine.example:9\n"
				"two.example: \"smtp://[2001:db8::1]:2525, three.example\"\n";

static struct conf *
parse(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_parse_text("t", text, strlen(text), &errors);

	if (c == NULL)
		fail_msg("%s: %s", text, errors.list[0].text);
	return c;
}

static void
test_ports(void **state)
{
	char path[] = "/tmp/postern-ports-XXXXXX", text[512], got[256];
	uint16_t ports[ROLE_PORTS_MAX];
	struct smtpd d = {0};
	size_t i, j, n, len;
	int fd;

	(void)state;
	assert_return_code(fd = mkstemp(path), errno);
	assert_int_equal(write(fd, file_text, sizeof(file_text) - 1), sizeof(file_text) - 1);
	(void)close(fd);
	for (i = 0; i < NITEMS(cases); i++) {
		const char *mark = strstr(cases[i].text, "%s");

		if (mark == NULL)
			(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		else
			(void)snprintf(text, sizeof(text), "%.*s\"%s\"%s",
			    (int)(mark - cases[i].text) - 5, cases[i].text, path, mark + 2);
		d.conf = parse(text);
		n = ports_find(&d, cases[i].which, ports, ROLE_PORTS_MAX);
		for (j = 0, len = 0, got[0] = '\0'; j < n; j++)
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%u",
			    j == 0 ? "" : " ", (unsigned int)ports[j]);
		if (strcmp(got, cases[i].ports) != 0)
			fail_msg("%s: %s", text, got);
		conf_free(d.conf);
	}
	(void)unlink(path);
}

/* More than a process may have are left out. */
static void
test_too_many(void **state)
{
	uint16_t ports[ROLE_PORTS_MAX];
	char text[4096];
	struct smtpd d = {0};
	size_t len, i;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text), "action a relay host {");
	for (i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " h:%zu", 1000 + i);
	(void)snprintf(text + len, sizeof(text) - len, " }");
	d.conf = parse(text);
	assert_int_equal(ports_find(&d, PORTS_SMTP, ports, ROLE_PORTS_MAX), ROLE_PORTS_MAX);
	assert_int_equal(ports[0], 25);
	assert_int_equal(ports[ROLE_PORTS_MAX - 1], 1000 + ROLE_PORTS_MAX - 2);
	conf_free(d.conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ports),
	    cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
