/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_SETUP_H
#define LOOKUP_SETUP_H

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/message.h"

struct lookup;

/* Callbacks of struct service_program; ctx is the struct lookup. */
void setup_configure(void *ctx, const struct conf *conf);
void setup_file(void *ctx, enum ipc_file kind, const char *name, int fd);
int setup_prepare(void *ctx) WARN_UNUSED;

/* A file that a table names; takes fd over. */
void setup_include(struct lookup *l, const struct msg_include *m, int fd);
/* A new resolver, if a reload changed what it is made from; from the loop's top. */
void setup_renew(struct lookup *l);

#endif
