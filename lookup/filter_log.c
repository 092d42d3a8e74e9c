/* SPDX-License-Identifier: ISC */
/*
 * The log lines of filters.  An evaluation that begins anew comes to the same
 * decisions in the same order, so their number tells which are new.  Nothing is fatal.
 */
#include "lookup/filter_log.h"

#include "lib/base/log.h"

static const char *
decision_word(const struct conf_filter *f, const struct filter_verdict *v)
{
	static const char *const words[CONF_DECISION__MAX] = {
	    [CONF_DECISION_BYPASS] = "bypass",
	    [CONF_DECISION_DISCONNECT] = "disconnect",
	    [CONF_DECISION_JUNK] = "junk",
	    [CONF_DECISION_REJECT] = "reject",
	    [CONF_DECISION_REWRITE] = "rewrite",
	};

	return v->trouble ? "undecided" : words[f->decision];
}

static void
log_client(struct logline *l, const struct filter_question *q)
{
	char client[ADDR_TEXT_MAX] = "unix";

	if (q->client != NULL)
		addr_format(q->client, client);
	logline_str(l, "client", client);
}

static void
on_member(void *arg, const struct conf_filter *f, enum table_answer matches,
    const struct filter_verdict *so_far)
{
	struct filter_log *log = arg;
	struct logline l;

	if (matches == TABLE_NO || ++log->seen <= log->logged)
		return;
	log->logged = log->seen;
	logline_start(&l, LOG_LEVEL_INFO, "filtered");
	logline_str(&l, "filter", f->name);
	logline_str(&l, "phase", conf_phase_name(f->phase));
	logline_str(&l, "decision", decision_word(f, so_far));
	log_client(&l, log->question);
	logline_end(&l);
}

struct filter_observer
filter_log_observer(struct filter_log *log, const struct filter_question *q)
{
	log->seen = 0;
	log->question = q;
	return (struct filter_observer){.member = on_member, .arg = log};
}

void
filter_log_sender(
    const struct filter_question *q, const char *sender, const struct filter_verdict *v)
{
	struct logline l;

	logline_start(&l, v->trouble ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
	    v->trouble ? "senders-unknown" : "sender-refused");
	logline_str(&l, "login", q->auth);
	logline_str(&l, "sender", sender);
	log_client(&l, q);
	logline_end(&l);
}
