/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SHOW_H
#define CONTROL_SHOW_H

#include "control/smtpctl.h"

/* What smtpctl shows; each returns the exit status. */
int show_queue(struct ctl *ctl);
int show_message(struct ctl *ctl);
int show_status(struct ctl *ctl);
int show_sandbox(struct ctl *ctl);
int show_stats(struct ctl *ctl);
int show_clients(struct ctl *ctl);
int show_certificates(struct ctl *ctl);
int show_logins(struct ctl *ctl);
int show_limits(struct ctl *ctl);
int show_tls(struct ctl *ctl);
int show_monitor(struct ctl *ctl); /* until interrupted, or -n lines */

/* A heading, and text that should be noticed; coloured on a terminal. */
enum show_tone { TONE_HEADING, TONE_ALARM };
void show_tone_on(const struct ctl *ctl, enum show_tone tone);
void show_tone_off(const struct ctl *ctl);
/* "1 message", "2 messages", "3 processes" */
void show_count(FILE *out, uint64_t n, const char *noun);

#endif
