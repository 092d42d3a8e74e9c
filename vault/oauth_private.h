/* SPDX-License-Identifier: ISC */
#ifndef VAULT_OAUTH_PRIVATE_H
#define VAULT_OAUTH_PRIVATE_H

#include "lib/service/service.h"
#include "vault/oauth.h"
#include "vault/oauth_answer.h"
#include "vault/sealed.h"
#include "vault/vault.h"

/* The inside of OAuth, for its own files. */
#define OAUTH_SEAL_MS	   30000 /* the parent writes a file, durably */
#define OAUTH_REPLIES_MAX  8
#define OAUTH_BINDING_SIZE 65

struct evp_pkey_st;
struct oauth_login;
struct staged_files;

/* One question to smtpd-fetch; a member of who asks. */
struct oauth_fetch {
	const struct oauth_account *account;
	uint32_t ask; /* 0: nothing is under way */
	void (*done)(void *owner, const struct oauth_answer *a);
	void *owner;
};

struct oauth_reply { /* an admin who waits until it is on disk */
	struct channel *ch;
	uint32_t req;
	enum message_type type; /* MSG_done or MSG_oauth_done */
};

enum oauth_trouble {	     /* what ends it */
	OAUTH_TROUBLE_TOKEN, /* a token that is there */
	OAUTH_TROUBLE_DISK,  /* a consent that is kept */
	OAUTH_TROUBLE_LOGIN  /* a mail server that takes the token */
};

struct oauth_account { /* owned by struct oauths */
	TAILQ_ENTRY(oauth_account) entry;
	struct oauths *all;
	const struct conf_oauth *conf;
	char binding[OAUTH_BINDING_SIZE]; /* what a consent is for: client, user, server */
	struct evp_pkey_st *key;	  /* of assertions; NULL: none */
	TAILQ_HEAD(, oauth_wait) waits;
	struct oauth_login *login; /* under way; NULL: none */

	/* the access token */
	char *access; /* NULL: none */
	int64_t until_ms, renew_ms, renewed_ms;
	struct oauth_fetch renewal;
	unsigned int failures;
	int64_t retry_ms;

	/* the consent */
	char *refresh; /* NULL: none */
	int64_t consent_s;
	bool lost;		    /* the server does not know it any more */
	char trouble[IPC_TEXT_MAX]; /* what is wrong, for people; "": nothing */
	enum oauth_trouble trouble_of;

	/* on disk */
	bool loaded; /* what is there was read, or is ours: it is of no more use */
	bool dirty;  /* what is there is not what is here */
	uint32_t seal_ask;
	int64_t seal_retry_ms;
	struct oauth_reply replies[OAUTH_REPLIES_MAX];
	size_t nreplies;
};

struct oauths {
	struct vault *vault;
	struct sealer sealer;
	struct staged_files *staged;
	TAILQ_HEAD(, oauth_account) accounts;
};

/* -- oauth.c -- */
struct oauth_account *oauth_account_find(const struct oauths *os, const char *label);
bool oauth_needs_consent(const struct oauth_account *a);
void oauth_set_trouble(struct oauth_account *a, enum oauth_trouble of, const char *text);
void oauth_end_trouble(struct oauth_account *a, enum oauth_trouble of);
int64_t oauth_now_ms(const struct oauth_account *a);
int oauth_replace(
    char **secret, const char *value); /* wipes the old one; value NULL: none.  -1: ENOMEM */
/* Everybody who waits is told what there is now. */
void oauth_serve(struct oauth_account *a);

/* -- oauth_fetch.c -- */
/* Posts the form, which is wiped.  -1: it can't be asked; done is not called. */
int oauth_fetch_post(struct oauth_fetch *f, const char *url, struct buf *form) WARN_UNUSED;
void oauth_fetch_cancel(struct oauth_fetch *f);

/* -- oauth_renew.c -- */
/* Asks for an access token, unless that is under way. */
void oauth_renew(struct oauth_account *a);
/* The form that asks for one by what the account has.  -1: it can't be made. */
int oauth_renew_form(struct oauth_account *a, struct buf *form) WARN_UNUSED;
/* The tokens of an answer are the account's from now on.  -1: ENOMEM. */
int oauth_take_tokens(struct oauth_account *a, const struct oauth_answer *answer) WARN_UNUSED;

/* -- oauth_store.c -- */
void oauth_load(struct oauth_account *a);
/* What the account has of a consent is to be on disk; whoever waits for that gets a reply. */
void oauth_store(struct oauth_account *a);
void oauth_store_tick(struct oauth_account *a);
/* Tells ch, now or when it is on disk. */
void oauth_store_reply(
    struct oauth_account *a, struct channel *ch, uint32_t req, enum message_type type);
void oauth_reply(struct channel *ch, uint32_t req, enum message_type type, enum ipc_outcome outcome,
    const char *text);
void oauth_store_unlink(struct oauth_account *a, const struct channel *ch);

/* -- oauth_login.c -- */
void oauth_login_free(struct oauth_login *l); /* NULL is fine */
/* The asker is told why. */
void oauth_login_end(struct oauth_login *l, enum ipc_outcome outcome, const char *text);
void oauth_login_tick(struct oauth_login *l);
/* What it has of secrets goes out of the text. */
void oauth_login_hide(const struct oauth_login *l, char *text);
void oauth_login_unlink(struct oauth_login *l, const struct channel *ch);

#endif
