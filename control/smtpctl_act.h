/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_ACT_H
#define CONTROL_SMTPCTL_ACT_H

#include "control/smtpctl.h"

/* What smtpctl changes; each returns the exit status. */
int act_schedule(struct ctl *ctl);
int act_remove(struct ctl *ctl);
int act_pause(struct ctl *ctl);
int act_resume(struct ctl *ctl);
int act_clear_clients(struct ctl *ctl);
int act_clear_logins(struct ctl *ctl);
int act_update_table(struct ctl *ctl);
int act_forget_tls(struct ctl *ctl);
#ifdef TEST_HOOKS
int act_probe(struct ctl *ctl);
#endif

#endif
