/* SPDX-License-Identifier: ISC */
/*
 * Which kinds of tables have a program of their own.
 */
#include "lib/conf/table_program.h"

static const struct {
	enum conf_table_kind kind;
	const char *word;
} rows[] = {
#define TABLE_PROGRAM_ROW(id, text) [TABLE_PROGRAM_##id] = {CONF_TABLE_##id, text},
    TABLE_PROGRAMS(TABLE_PROGRAM_ROW)
#undef TABLE_PROGRAM_ROW
};

enum table_program
table_program_of(enum conf_table_kind kind)
{
	unsigned int i;

	for (i = 0; i < NITEMS(rows); i++)
		if (rows[i].kind == kind)
			return (enum table_program)i;
	return TABLE_PROGRAM__MAX;
}

const char *
table_program_word(enum table_program p)
{
	return rows[p].word;
}

enum conf_table_kind
table_program_kind(enum table_program p)
{
	return rows[p].kind;
}

bool
table_program_is_used(const struct conf *c, enum table_program p)
{
	size_t i;

	for (i = 0; i < c->ntables; i++)
		if (c->tables[i].kind == rows[p].kind)
			return true;
	return false;
}
