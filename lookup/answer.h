/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ANSWER_H
#define LOOKUP_ANSWER_H

/* What a table, or any other source, says to a question. */
enum table_answer {
	TABLE_NO,
	TABLE_YES,
	TABLE_TROUBLE, /* it can't be said now: never "no" */
	TABLE_PENDING  /* it was asked; ask again when the inquiry is resumed */
};

#endif
