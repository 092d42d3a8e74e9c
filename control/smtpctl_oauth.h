/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_OAUTH_H
#define CONTROL_SMTPCTL_OAUTH_H

#include <stdio.h>

#include "control/smtpctl.h"

/* Consent of people to have their mail sent for them; each returns the exit status. */
int oauth_login_run(struct ctl *ctl);
int oauth_list_run(struct ctl *ctl);
int oauth_logout_run(struct ctl *ctl);
void oauth_help(FILE *out); /* the options of login */

#endif
