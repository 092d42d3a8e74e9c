/* SPDX-License-Identifier: ISC */
/*
 * `smtpd-hasher -c`: a database and its queries, looked at by the code that will
 * use them.  The files are open already, by whoever may open them.  It runs
 * as the hasher's account; nothing here is fatal.
 */
#include "vault/hasher_check.h"

#include <sys/epoll.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sqlite/reader.h"
#include "lib/sqlite/source.h"

#define FD_CONF	    0
#define FD_DATABASE 3
#define QUESTION_MS 2000	 /* for a writer to be done */
#define HEAP_MAX    (32LL << 20) /* octets of all of SQLite */
#define ERRORS	    1		 /* exit status */

/* What is wrong is said below, in words for people. */
static void
drop_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int
complain(const char *why)
{
	(void)printf("error: %s\n", why);
	return ERRORS;
}

static int
check_queries(struct source *s)
{
	char said[256] = "";
	enum table_service service;
	int status = 0;

	for (service = 0; service < SERVICE__MAX; service++) {
		if (!source_has_query(s, service) || source_try(s, service) == SOURCE_FOUND)
			continue;
		/* What is wrong with the database itself is said once. */
		if (strcmp(said, source_why(s)) == 0)
			continue;
		(void)snprintf(said, sizeof(said), "%s", source_why(s));
		if (strncmp(said, "query_", strlen("query_")) == 0)
			(void)complain(said);
		else
			(void)printf("error: query_%s: %s\n", service_word(service), said);
		status = ERRORS;
	}
	return status;
}

int
hasher_check_main(const char *table)
{
	struct source_plan plan = {.question_ms = QUESTION_MS, .idle_fd = -1};
	struct source *s;
	int status;

	log_set_sink(drop_line, NULL);
	if ((plan.idle_fd = epoll_create1(EPOLL_CLOEXEC)) == -1 || reader_install(HEAP_MAX) == -1 ||
	    (s = source_create(table, &plan)) == NULL)
		return complain("it can't be looked at");
	source_tell(s, FD_CONF);
	if (source_why(s)[0] != '\0')
		status = complain(source_why(s));
	else {
		source_open(s, FD_DATABASE);
		status = source_why(s)[0] != '\0' ? complain(source_why(s)) : check_queries(s);
	}
	source_free(s);
	(void)close(plan.idle_fd);
	return fflush(stdout) == 0 ? status : ERRORS;
}
