/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_H
#define CONTROL_SMTPCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "control/client.h"

/* One run of smtpctl: what was asked for, and how to answer. */
enum ctl_target {
	TARGET_MESSAGE,
	TARGET_CLIENT,
	TARGET_LOGIN,
	TARGET_TABLE,
	TARGET_DOMAIN,
	TARGET_LABEL,
	TARGET_ALL,
	TARGET_SMTP,
	TARGET_DELIVERY
};

#define CTL_WORDS_MAX 8

/* What explain is asked about, besides the recipient; NULL: not given. */
struct ctl_envelope {
	const char *client, *listener, *helo, *login, *sender;
	bool tls;
};

/* How "oauth login" may hear of the consent; neither: by what comes first. */
struct ctl_consent {
	bool browser, paste;
	uint16_t port; /* for the browser to come back to; 0: the kernel chooses */
};

struct ctl {
	struct client client;
	FILE *out;
	const char *words[CTL_WORDS_MAX + 1]; /* what is not an option, NULL at the end */
	int nwords;
	int nused; /* of them, by the command itself: the rest are its arguments */
	enum ctl_target target;
	uint64_t id; /* of TARGET_MESSAGE */
	const char *
	    address; /* of TARGET_CLIENT and what else has a name, one of words; "" with TARGET_ALL */
	char *last_word;    /* the same as the last of words: a secret there is overwritten */
	const char *method; /* -m; NULL: not given */
	struct ctl_envelope envelope;
	struct ctl_consent consent;
	uint64_t count; /* -n; 0: not given */
	int64_t now_s;
	bool json, quiet;
	bool terminal; /* out is one */
	bool colour;
};

#endif
