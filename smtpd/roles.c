/* SPDX-License-Identifier: ISC */
/*
 * The role table: who may do what.  This page is the one to audit.
 *
 * Each row becomes an account, a root directory, a seccomp allow-list, a
 * Landlock ruleset and resource limits in role_enter(), before the process reads
 * its first byte from outside.  They are started in this order: who is asked
 * comes before who asks.  `smtpctl show sandbox` prints these rows beside
 * what the kernel says of the living process.
 *
 * The parent itself has no row: it is the only root code, it parses nothing
 * from the network, and what it keeps of root is in smtpd/privileges.c.
 */
#include "smtpd/roles.h"

#include "lib/conf/conf.h"

#define MB	  (UINT64_C(1) << 20)
#define GB	  (UINT64_C(1) << 30)
#define UNLIMITED UINT64_MAX

/* clang-format off */
const struct role_row role_rows[] = {
	{
		/* Posts forms by HTTPS for the vault, to the endpoints of smtpd.conf alone. */
		.role = ROLE_FETCH, .account = "_postern-fetch", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_CONNECT | RIGHT_READ_FD,
		.limits = {.descriptors = 256, .address_space_bytes = GB},
		.ports = PORTS_OAUTH, .conf = CONF_FOR_FETCH, .optional = true,
	},
	{
		/* Keeps every key and password.  No file, no network, twelve system calls. */
		.role = ROLE_VAULT, .account = "_postern-vault", .root = ROOT_EMPTY,
		.rights = RIGHT_CORE,
		.limits = {.descriptors = 1024, .address_space_bytes = GB},
		.conf = CONF_FOR_VAULT,
	},
	{
		/* Compares passwords with hashes for the vault; reads databases it is handed. */
		.role = ROLE_HASHER, .account = "_postern-hasher", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_READ_FD | RIGHT_READ_DB,
		.limits = {.descriptors = 256, .address_space_bytes = GB},
		.conf = CONF_FOR_HASHER, .count = COUNT_HASHERS,
	},
	{
		/* Asks database servers for lookup and the vault.  Talks to those servers alone. */
		.role = ROLE_TABLE, .account = "_postern-table", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_CONNECT | RIGHT_READ_FD,
		.limits = {.descriptors = 1024, .address_space_bytes = GB},
		.ports = PORTS_TABLES, .conf = CONF_FOR_TABLE, .count = COUNT_TABLES,
		.optional = true,
	},
	{
		/* Talks SMTP with strangers.  No file, no outgoing connection. */
		.role = ROLE_SESSION, .account = "_postern-session", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_ACCEPT | RIGHT_TLS,
		.limits = {.descriptors = 65536, .address_space_bytes = GB},
		.conf = CONF_FOR_SESSION, .count = COUNT_SESSIONS,
	},
	{
		/* Owns the spool.  No network. */
		.role = ROLE_QUEUE, .account = "_postern-queue", .root = ROOT_SPOOL,
		.rights = RIGHT_BASE | RIGHT_SPOOL,
		.limits = {.descriptors = 1024, .address_space_bytes = GB, .file_bytes = UNLIMITED},
		.conf = CONF_FOR_QUEUE,
	},
	{
		/* Asks the DNS and tables.  Talks to resolvers alone; reads databases it is handed. */
		.role = ROLE_LOOKUP, .account = "_postern-lookup", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_DNS | RIGHT_READ_FD | RIGHT_READ_DB,
		.limits = {.descriptors = 4096, .address_space_bytes = GB},
		.ports = PORTS_RESOLVER, .conf = CONF_FOR_LOOKUP,
	},
	{
		/* Connects to other servers; holds no file, writes no mailbox itself. */
		.role = ROLE_DELIVERY, .account = "_postern-delivery", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_CONNECT | RIGHT_TLS | RIGHT_READ_FD,
		.limits = {.descriptors = 8192, .address_space_bytes = GB},
		.ports = PORTS_SMTP, .conf = CONF_FOR_DELIVERY,
	},
	{
		/* Answers the admin socket.  No file, no network. */
		.role = ROLE_CONTROL, .account = "_postern-control", .root = ROOT_EMPTY,
		.rights = RIGHT_BASE | RIGHT_ACCEPT,
		.limits = {.descriptors = 1024, .address_space_bytes = 256 * MB},
		.conf = CONF_FOR_CONTROL,
	},
	{
		/* Writes one mailbox, as its owner.  No network. */
		.role = ROLE_AGENT, .account = NULL, .root = ROOT_MAILBOX,
		.rights = RIGHT_BASE | RIGHT_MAILBOX,
		.limits = {.descriptors = 64, .address_space_bytes = 256 * MB, .file_bytes = UNLIMITED},
		.on_demand = true,
	},
};
/* clang-format on */
const size_t role_nrows = NITEMS(role_rows);

const struct role_row *
role_row(enum role role)
{
	size_t i;

	for (i = 0; i < role_nrows; i++)
		if (role_rows[i].role == role)
			return &role_rows[i];
	return NULL;
}
