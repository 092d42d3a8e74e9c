/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/conf/conf.h"
#include "lib/conf/database.h"
#include "lib/ipc/channel.h"
#include "smtpd/roles.h"

/*
 * The parent: everything it knows, and who of its files does what.
 *
 *   main.c        options, signals, the loop
 *   roles.c       the role table
 *   privileges.c  what root keeps, and gives away at start
 *   spawn.c       starts a process in its role and hands it what is its
 *   links.c       the sockets between children
 *   supervise.c   deaths, restarts with back-off, drain
 *   slice.c       the part of smtpd.conf of each role, and its way there
 *   ports.c       the ports that a role may connect to
 *   files.c       files that a role is handed open
 *   secrets.c     files that are read for it: certificates, keys, passwords
 *   update.c      one table's files, handed over again: smtpctl update table
 *   listen.c      opens ports and the admin socket; listen_hosts.c: which
 *   reload.c      reads smtpd.conf; SIGHUP
 *   accounts.c    who an account is
 *   userbase.c    of a table of accounts
 *   runas.c       delivery agents as their users
 *   hand.c        processes for what may hang, or takes the rights of somebody else
 *   hand_walls.c  what those can't do
 *   forward.c     ~/.forward, opened as the account
 *   include.c     files that tables include
 *   shadow.c      password hashes of system accounts, for the vault
 *   helper.c      connections to token helpers and Dovecot, for the vault
 *   lmtp.c        connections to the sockets of actions, for delivery
 *   seal.c        files of the vault, which it has sealed
 *   proc.c        what the kernel says of each process
 *   dispatch.c    what the children may ask for
 *   check.c       smtpd -n; the directories and groups of sockets
 *   check_pki.c   smtpd -n: certificates
 *   check_table.c smtpd -n: tables
 *   check_relay.c smtpd -n: what relays and OAuth need
 *   check_run.c   smtpd -n: what is in their files, tried by other programs
 */
struct event;
struct event_base;
struct smtpd;
struct stat;

/* What a process is being sent of its part; as much at once as its channel takes. */
struct feed {
	bool active;
	bool tables_only; /* of its files; the others are as they were */
	size_t next;	  /* of secrets_next() */
	int fd;		  /* of the file at hand, and what follows is that file's; -1: none */
	uint64_t left;
	enum ipc_data kind;
	char name[IPC_NAME_MAX + 1];
	struct event *more; /* there is room again */
};

/* Who asked may have died meanwhile, and its place be taken by another: asker_alive(). */
struct asker {
	struct smtpd *smtpd;
	const struct child *child;
	pid_t pid;
	uint32_t req;
};

struct child { /* owned by the list in struct smtpd, until it is reaped */
	TAILQ_ENTRY(child) entry;
	struct smtpd *smtpd;
	const struct role_row *row;
	uint32_t instance;
	pid_t pid; /* 0: waiting to be started again */
	struct channel *ch;
	uid_t uid;
	gid_t gid;
	struct role_rights rights;  /* as declared to it */
	struct msg_entered entered; /* as it reported */
	bool has_entered, draining;
	bool locked; /* was told to enter its role: links and sockets may follow */
	struct feed feed;
	bool has_files; /* of a configuration before this one */
	char lost[IPC_NAME_MAX + 1];
	int listener_fd; /* seccomp notifications, -1: none */
	struct event *listener;
	struct event
	    *timer; /* while it lives: the time to enter its role; else: to start it again */
	int64_t started_ms, relinked_ms;
	int64_t shadow_ms; /* the vault: since when its questions for hashes are counted */
	int64_t seal_ms;   /* the same, of what it wants to be kept */
	unsigned int nshadow, nseals;
	uint32_t restarts, fast_deaths;
	bool condemned; /* it was killed; a file system of its user's making may hold it still */
	struct agent_life {
		char user[IPC_WORD_MAX + 1]; /* for whom */
		char *base;		     /* the directory that is to be its root */
		struct asker asker;	     /* of smtpd-delivery */
		int link_fd; /* for it, when the agent has entered; -1: there is none */
		bool let_go; /* by it */
	} agent;
};

struct listening {	/* an open port or Unix socket; owned by the array in struct smtpd */
	char host[256]; /* or the path, which begins with '/' */
	uint16_t port;
	char group[64]; /* that may open the Unix socket; "": none */
	dev_t dev;	/* of the path, to know it again */
	ino_t ino;
	int fd;
	uint32_t index; /* of the listener in smtpd.conf */
	bool wanted;
};

/* An account whose home did not answer; it is not asked again so soon (forward.c). */
struct silent_home {
	char name[IPC_WORD_MAX + 1], userbase[IPC_WORD_MAX + 1];
	int64_t until_ms;
};
#define SILENT_HOMES_MAX 64 /* the oldest is forgotten */

TAILQ_HEAD(children, child);
struct accounts;
struct hand;
TAILQ_HEAD(hands, hand);

struct seal_file {
	char *name, *path;
};

struct smtpd {
	struct event_base *base;
	struct conf *conf;
	bool *pki_is_bad; /* of conf's pkis: who has the files of before keeps them; NULL: none */
	uint32_t generation;
	struct children children;
	struct hands hands;
	struct accounts *accounts;
	struct silent_home silent_homes[SILENT_HOMES_MAX];
	size_t nsilent_homes;	 /* ever */
	struct seal_file *seals; /* what the vault keeps, as of when it was configured last */
	size_t nseals;
	struct listening *listening;
	size_t nlistening;
	struct listening admin; /* fd -1: it is not open */
	char conf_path[PATH_MAX], libexec[PATH_MAX], empty[PATH_MAX], hostname[256];
	bool privileged, verbose, foreground, to_syslog, draining, smtp_paused, delivery_paused;
	uid_t uid_base; /* numeric accounts from here on; 0: the named ones */
	struct channel_rules rules;
	struct event *signals[5], *drain_timer, *listen_again;
	unsigned int listen_tries;
	int64_t started_ms, drain_deadline_ms;
	int exit_status;
};

/* spawn.c */
int child_start(struct child *c) WARN_UNUSED;
struct child *
child_create(struct smtpd *d, const struct role_row *row, uint32_t instance) WARN_UNUSED;
int child_start_agent(struct child *c) WARN_UNUSED; /* uid and gid are set; sends its rights */
void child_condemn(struct child *c);		   /* it is of no use: kill it, supervise.c reaps */
int child_configured(struct child *c) WARN_UNUSED; /* its part is with it: what comes next */
void child_free(struct child *c);
int children_start(struct smtpd *d) WARN_UNUSED;
/* Of the optional programs those that the configuration needs, and no other.  -1: ENOMEM. */
int children_start_optional(struct smtpd *d) WARN_UNUSED;
bool child_is_wanted(const struct child *c);   /* by the configuration of now */
const char *child_root(const struct child *c); /* by the configuration of now */
const char *child_name(const struct child *c); /* "session/0", until the next call */

/* links.c */
void links_make(struct child *c); /* to each of its living peers */
void links_remake(struct child *c, enum role role, uint32_t instance);

/* supervise.c */
void supervise_start(struct child *c); /* and again and again, should it fail */
void supervise_reap(struct smtpd *d);
void supervise_drain(struct smtpd *d);
void supervise_expect_entry(struct child *c); /* within seconds, or it is killed */
void supervise_expect_end(struct child *c);   /* the same: it closed its channel to us */
void supervise_listen_for_violations(struct child *c, int fd);
void
supervise_restart(struct child *c, const char *why); /* gently: drains it, then starts it anew */
void
supervise_end(struct child *c, const char *why); /* the same, for good; one that is dead is freed */

/*
 * slice.c.  What does not fit into the channel follows when there is room; -1: it failed at once.
 * When all is sent child_configured() is called.
 */
int slice_send(struct child *c) WARN_UNUSED;
int slice_send_tables(struct child *c) WARN_UNUSED; /* the same, certificates and keys left out */
void slice_stop(struct child *c);		    /* whatever is on its way is left */
void slice_on_pressure(void *ctx, struct channel *ch, bool high);

/* ports.c */
size_t ports_find(const struct smtpd *d, enum role_ports which, uint16_t *ports, size_t max);
bool ports_are_known(const struct smtpd *d); /* those of tables: each small file says its own */

/* files.c */
#define FILES_WHY_MAX 256
int files_read(void *arg, const char *path, struct buf *out) WARN_UNUSED; /* a conf_reader */
void files_send(struct child *c);
enum files_sent { FILES_SENT, FILES_NOT_ITS, FILES_UNREAD };
/* The files of a table, to a process that is to have them; UNREAD: why was logged, too. */
enum files_sent
files_send_table(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX]);
/* Is it no text of a table, no indexed table?  NULL: it is one. */
const char *files_text_fault(int fd);
const char *files_index_fault(int fd);
/* The small configuration of a table in a data base; -1 and why. */
int files_database(enum database_kind kind, const char *path, struct database *db,
    char why[FILES_WHY_MAX]) WARN_UNUSED;

struct postgres;
int files_postgres(const char *path, struct postgres *out, char why[FILES_WHY_MAX]) WARN_UNUSED;

/* secrets.c */
struct secret_file {
	enum ipc_data kind;
	const char *name, *path; /* of the configuration */
};
/* The next file that is read for a role, from *n on, which moves; false: there are no more. */
bool secrets_next(const struct smtpd *d, enum role to, size_t *n, struct secret_file *f);
bool secrets_is_key(enum ipc_data kind); /* that nobody else should be able to read */
/* NULL, or why it can't be had. */
const char *secrets_open(const struct secret_file *f, int *fd, struct stat *st) WARN_UNUSED;
const char *secrets_key_fault(const struct stat *st); /* who else could read it; NULL: nobody */
/* The feed's file: opened and announced, a piece of it sent, left where it is.  -1: no channel. */
int secrets_begin(struct child *c, const struct secret_file *file) WARN_UNUSED;
int secrets_go_on(struct child *c) WARN_UNUSED;
int secrets_give_up(struct child *c);

/* listen.c */
int
listen_open(struct smtpd *d) WARN_UNUSED; /* what smtpd.conf asks for; keeps what is open already */
int listen_open_admin(struct smtpd *d) WARN_UNUSED;
void listen_close_admin(struct smtpd *d); /* and removes its name, if it still is ours */
void listen_send(struct smtpd *d, struct child *c);
void listen_close(struct smtpd *d);

/* reload.c */
struct conf *conf_load(const char *path);
void reload(struct smtpd *d);
/* Rights can't grow in a living process: where its ports changed, a fresh one takes over. */
bool reload_ports(struct child *c);

/* runas.c */
void runas_start(struct child *delivery, const struct msg_agent_start *m);
void runas_entered(struct child *agent);
void runas_let_go(struct child *delivery, uint32_t req); /* of no more use to it */
void runas_delivery_lost(const struct child *delivery);
void runas_given_up(struct child *agent); /* it ended, or will: who waits for it hears of it */

/* shadow.c, helper.c */
void shadow_answer(struct child *vault, const struct msg_shadow *m);
void helper_answer(struct child *vault, const struct msg_helper_get *m);
int helper_connect(const char *path) WARN_UNUSED; /* to a Unix socket, at once or not at all */

/* lmtp.c */
void lmtp_answer(struct child *delivery, const struct msg_lmtp_connect *m);

/* seal.c */
#define SEAL_KEY_SIZE 32
/* Before the vault is configured: what it keeps, and the key, which is made if there is none. */
void seal_prepare(struct smtpd *d);
void seal_free(struct smtpd *d);
void seal_answer(struct child *vault, const struct msg_seal *m);
const char *seal_directory_fault(const struct stat *st); /* NULL: it is ours alone */

/* update.c */
void update_answer(struct child *control, const struct msg_table_update *m);

/* privileges.c */
int privileges_keep(bool privileged) WARN_UNUSED; /* of root, only what the parent needs */

/* proc.c */
void proc_answer(struct smtpd *d, struct channel *control, uint32_t req);

/* dispatch.c */
extern const channel_handler smtpd_handlers[MSG__MAX];
void dispatch_pause_state(struct child *c);

/* check_pki.c, check_table.c, check_relay.c */
struct checking;
void check_pkis(struct checking *k);
void check_relays(struct checking *k);
void check_tables(struct checking *k);
bool check_pki_is_good(struct smtpd *d, const struct conf_pki *p); /* what is not, is logged */

/* check.c */
struct checking {
	struct smtpd *d;
	unsigned int problems;
	bool logs;   /* problems are logged, not printed */
	bool broken; /* what was looked at last can't be used at all */
};
void check_problem(struct checking *k, const char *what, const char *name, const char *why);
int check_all(struct smtpd *d); /* smtpd -n: exit status */
/* Do root and we alone decide what the directory of the path is?  -1: no, or it isn't there. */
#define CHECK_WHY_MAX (PATH_MAX + 64)
int check_way(const char *path, char why[CHECK_WHY_MAX]) WARN_UNUSED;
const char *check_group(const char *name, gid_t *gid) WARN_UNUSED; /* NULL, or what is wrong */

#endif
