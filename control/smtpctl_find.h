/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_FIND_H
#define CONTROL_SMTPCTL_FIND_H

#include "control/smtpctl.h"

/* lookup NAME SERVICE KEY: what the server's table says. */
int find_run(struct ctl *ctl);
void find_help(FILE *out); /* the services */

#endif
