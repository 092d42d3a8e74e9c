/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_CDB_H
#define LOOKUP_TABLE_CDB_H

#include "lookup/backend.h"

/*
 * A table in an indexed file (lib/conf/table_index.h), which stays on disk: a
 * question is a few reads from the descriptor, nothing is mapped, and what is
 * held in memory is a few KiB however long the table is.
 *
 * A file that is damaged, or shortened while it is in use, is TROUBLE and a log
 * line.  A new one takes the old one's place when it is loaded, not before.
 */
extern const struct backend_ops table_cdb_ops;

#endif
