/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_ROLES_H
#define SMTPD_ROLES_H

#include <stdbool.h>

#include "lib/ipc/message.h"
#include "lib/role/role.h"

/* Which directory a role sees as "/" (when the server was started as root). */
enum role_root {
	ROOT_EMPTY,  /* an empty directory that nobody can write to */
	ROOT_SPOOL,  /* the spool directory */
	ROOT_MAILBOX /* the directory below which one account's mailboxes lie */
};

/* Which TCP ports a role may connect to; they come from smtpd.conf, and what it names. */
enum role_ports { PORTS_NONE, PORTS_RESOLVER, PORTS_SMTP, PORTS_TABLES, PORTS_OAUTH };

/* How many processes; smtpd.conf may say it.  TABLES: one for each kind of table that it has. */
enum role_count { COUNT_ONE, COUNT_SESSIONS, COUNT_HASHERS, COUNT_TABLES };

struct role_row {
	enum role role;
	const char *account; /* NULL: the recipient's own */
	enum role_root root;
	unsigned int rights;
	struct role_limits limits;
	enum role_ports ports;
	unsigned int conf; /* its part of smtpd.conf: CONF_FOR_* */
	enum role_count count;
	bool optional;	/* only while smtpd.conf has work for it, and nothing else waits for it */
	bool on_demand; /* started when asked for, not restarted */
};

const struct role_row *role_row(enum role role); /* NULL: the parent, or smtpctl */
extern const struct role_row role_rows[];
extern const size_t role_nrows;

#endif
