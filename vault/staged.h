/* SPDX-License-Identifier: ISC */
#ifndef VAULT_STAGED_H
#define VAULT_STAGED_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/message.h"

/*
 * Small files on their way from the parent, by kind and name, until the configuration
 * that they belong to is whole.  Bounded, and wiped when they are dropped.
 */
#define STAGED_FILES_MAX 4096
#define STAGED_FILE_MAX	 (64U << 10) /* octets of one */

struct staged_files;

struct staged_files *staged_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void staged_free(struct staged_files *f);	      /* wipes; NULL is fine */
/* A piece; what follows a last one of the same kind and name replaces it.  -1: ENOBUFS, ENOMEM. */
int staged_feed(struct staged_files *f, const struct msg_file_data *piece) WARN_UNUSED;
/* A file that is there, whole and not empty; false: it is not. */
bool
staged_find(const struct staged_files *f, enum ipc_data kind, const char *name, struct span *out);
void staged_drop(struct staged_files *f); /* all of them */

#endif
