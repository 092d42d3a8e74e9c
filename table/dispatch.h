/* SPDX-License-Identifier: ISC */
#ifndef TABLE_DISPATCH_H
#define TABLE_DISPATCH_H

#include <stdint.h>
#include <sys/queue.h>

#include "lib/service/service.h"
#include "table/question.h"

struct staged;

/* All that the program has; made in main.c. */
struct frame {
	struct service *service;
	TAILQ_HEAD(, table) tables;
	TAILQ_HEAD(, staged) staged; /* small files that came, for the configuration to come */
	struct questions questions;
	int64_t drain_deadline_ms;
};

extern const struct service_program table_program;

void frame_init(struct frame *f);
void frame_free(struct frame *f); /* the service is gone */

#endif
