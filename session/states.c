/* SPDX-License-Identifier: ISC */
/*
 * The states of a client, and which may follow which.  There is no other way:
 * an edge that is not here is a defect of ours (session_enter() aborts).
 */
#include "session/states.h"

#include <stddef.h>

#include "lib/base/bug.h"

static const struct {
	enum state from;
	unsigned int to;
	const char *name;
} edges[] = {
    {STATE_PROXY, STATE_ENTERING | STATE_CLOSING, "proxy"},
    {STATE_ENTERING, STATE_PROXY | STATE_HANDSHAKE | STATE_NEW | STATE_CLOSING, "entering"},
    {STATE_HANDSHAKE, STATE_NEW | STATE_CLOSING, "handshake"},
    {STATE_NEW,
	STATE_IDLE | STATE_ENTERING | STATE_DELAYED | STATE_FILTERING | STATE_SWALLOW |
	    STATE_HANDSHAKE | STATE_CLOSING,
	"new"},
    {STATE_IDLE,
	STATE_IDLE | STATE_MAIL | STATE_ENTERING | STATE_DELAYED | STATE_FILTERING | STATE_SWALLOW |
	    STATE_HANDSHAKE | STATE_CHECKING | STATE_CLOSING,
	"idle"},
    {STATE_CHECKING, STATE_CHALLENGED | STATE_IDLE | STATE_CLOSING, "checking"},
    {STATE_CHALLENGED, STATE_CHECKING | STATE_IDLE | STATE_CLOSING, "challenged"},
    {STATE_MAIL,
	STATE_ASKING | STATE_IDLE | STATE_DELAYED | STATE_FILTERING | STATE_SWALLOW | STATE_CLOSING,
	"mail"},
    {STATE_RCPT,
	STATE_ASKING | STATE_BEGINNING | STATE_IDLE | STATE_DELAYED | STATE_FILTERING |
	    STATE_SWALLOW | STATE_CLOSING,
	"rcpt"},
    {STATE_CHUNKS, STATE_CHUNK | STATE_IDLE | STATE_DELAYED | STATE_CLOSING, "chunks"},
    {STATE_DELAYED, STATE_NEW | STATE_IDLE | STATE_MAIL | STATE_RCPT | STATE_CHUNKS | STATE_CLOSING,
	"delayed"},
    {STATE_FILTERING,
	STATE_NEW | STATE_IDLE | STATE_MAIL | STATE_RCPT | STATE_ASKING | STATE_BEGINNING |
	    STATE_SWALLOW | STATE_COMMITTING | STATE_CLOSING,
	"filtering"},
    {STATE_ASKING, STATE_MAIL | STATE_RCPT | STATE_CLOSING, "asking"},
    {STATE_BEGINNING, STATE_DATA | STATE_CHUNK | STATE_SWALLOW | STATE_IDLE | STATE_CLOSING,
	"beginning"},
    {STATE_DATA, STATE_FILTERING | STATE_COMMITTING | STATE_IDLE | STATE_CLOSING, "data"},
    {STATE_CHUNK, STATE_CHUNKS | STATE_FILTERING | STATE_COMMITTING | STATE_IDLE | STATE_CLOSING,
	"chunk"},
    {STATE_SWALLOW, STATE_NEW | STATE_IDLE | STATE_MAIL | STATE_RCPT | STATE_CLOSING, "swallow"},
    {STATE_COMMITTING, STATE_IDLE | STATE_CLOSING, "committing"},
    {STATE_CLOSING, STATE_CLOSING, "closing"},
};

bool
state_may_follow(enum state from, enum state to)
{
	size_t i;

	for (i = 0; i < NITEMS(edges); i++)
		if (edges[i].from == from)
			return (edges[i].to & (unsigned int)to) != 0;
	return false;
}

const char *
state_name(enum state s)
{
	size_t i;

	for (i = 0; i < NITEMS(edges); i++)
		if (edges[i].from == s)
			return edges[i].name;
	return "?";
}
