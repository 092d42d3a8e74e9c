/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_EXPLAIN_H
#define CONTROL_SMTPCTL_EXPLAIN_H

#include "control/json.h"
#include "control/smtpctl.h"

/* explain: the exit status says what would become of the recipient. */
int explain_run(struct ctl *ctl);
void explain_help(FILE *out); /* its options */

/*
 * The steps of a decision as they come, each with the depth of its place in
 * the tree; written at once, as lines or as nested objects of one JSON document.
 */
struct explain_printer {
	const struct ctl *ctl;
	struct json json;
	unsigned int nopen; /* JSON: steps that are not closed yet */
	bool begun;	    /* something was written */
	int status;	    /* the exit status that the end asks for */
};

void explain_printer_begin(struct explain_printer *p, const struct msg_explain *question);
void explain_printer_step(struct explain_printer *p, const struct msg_explain_row *row);
void explain_printer_end(struct explain_printer *p, const struct msg_explain_end *end);
/* Without a verdict, so that what was written is a whole document. */
void explain_printer_abort(struct explain_printer *p);

#endif
