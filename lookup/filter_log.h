/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FILTER_LOG_H
#define LOOKUP_FILTER_LOG_H

#include <stddef.h>

#include "lookup/filter.h"

/*
 * Logs what filters decide, each decision once though the question may be asked
 * several times (filter_evaluate()).  Starts as zeroes.
 */
struct filter_log {
	size_t seen, logged; /* decisions: of this evaluation, of all */
	const struct filter_question *question;
};

/* The observer for one more evaluation; q must live as long. */
struct filter_observer filter_log_observer(struct filter_log *log, const struct filter_question *q);
/* A sender that was refused after that. */
void filter_log_sender(
    const struct filter_question *q, const char *sender, const struct filter_verdict *v);

#endif
