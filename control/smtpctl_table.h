/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_TABLE_H
#define CONTROL_SMTPCTL_TABLE_H

#include "control/smtpctl.h"
#include "lib/conf/table_entry.h"

/* Indexed tables (lib/conf/table_index.h), made and looked at without a server; the exit status. */
int table_build_run(struct ctl *ctl);
int table_dump_run(struct ctl *ctl);
int table_query_run(struct ctl *ctl);

/* A key as it stands in an index, and is looked for there; -1: it is too long for any. */
int table_key(const char *key, char dst[TABLE_KEY_MAX + 1]) WARN_UNUSED;

#endif
