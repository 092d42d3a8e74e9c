/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SIGN_H
#define VAULT_SIGN_H

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct vault;

/*
 * Channels for signatures alone, one of each session process: it waits for
 * the answer, so that nothing else must stand before it.
 */
struct sign_links;

struct sign_links *sign_links_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void sign_links_free(struct sign_links *s);		/* channels end with the process */

/* Takes fd; one that the process had before is closed. */
void sign_link(struct vault *v, uint32_t instance, int fd);
/* Once a turn of the loop. */
void sign_links_run(struct vault *v);

#endif
