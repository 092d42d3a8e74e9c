/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_DUMP_H
#define LIB_CONF_DUMP_H

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/conf.h"

int dump_string(const char *s, struct buf *out) WARN_UNUSED;	    /* quoted */
int dump_table_name(const char *name, struct buf *out) WARN_UNUSED; /* <"name"> */

int dump_filter(const struct conf_filter *f, struct buf *out) WARN_UNUSED; /* a line of it */

/* The method's word: "maildir". */
const char *dump_action_kind(const struct conf_action *a);

#endif
