/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_ENCRYPT_H
#define CONTROL_SMTPCTL_ENCRYPT_H

#include <stdio.h>

#include "control/smtpctl.h"

/* encrypt: prints what a table keeps for a password or a token; the exit status. */
int encrypt_run(struct ctl *ctl);
void encrypt_help(FILE *out); /* the methods */

#endif
