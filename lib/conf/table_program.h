/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_TABLE_PROGRAM_H
#define LIB_CONF_TABLE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/*
 * Kinds of tables that a program of their own knows: smtpd-table-WORD.  Its place
 * here is its instance of the role TABLE.
 */
#define TABLE_PROGRAMS(X)  \
	/* kind    word */ \
	X(POSTGRES, "postgres")

#define TABLE_PROGRAM_ID(kind, word) TABLE_PROGRAM_##kind,
enum table_program { TABLE_PROGRAMS(TABLE_PROGRAM_ID) TABLE_PROGRAM__MAX };
#undef TABLE_PROGRAM_ID

/* TABLE_PROGRAM__MAX: no program of that kind. */
enum table_program table_program_of(enum conf_table_kind kind);
const char *table_program_word(enum table_program p);
enum conf_table_kind table_program_kind(enum table_program p);
/* Has the configuration a table of its kind? */
bool table_program_is_used(const struct conf *c, enum table_program p);

#endif
