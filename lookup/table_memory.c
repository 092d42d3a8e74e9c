/* SPDX-License-Identifier: ISC */
/*
 * One table in memory, and the ways of looking into it.
 *
 * Invariant: slots holds, for each key whatever its case, the number of the first
 * entry that has it, and half of it is free; patterns holds the entries that
 * must be tried one by one.  A plain entry costs its two pointers and eight octets
 * of slots, besides its text.  Nothing is fatal.
 */
#include "lookup/table_memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/glob.h"
#include "lookup/networks.h"
#include "lookup/regex.h"

#define SLOTS_FIRST 16
#define LOGGED_MAX  10 /* keys of no use that are logged one by one */

struct entry { /* strings are borrowed, or point into the table's text */
	const char *key, *value;
};

struct table { /* owned by its struct tables */
	char *name, *text;
	struct entry *entries;
	size_t n, cap;
	struct hash_seed seed;
	uint32_t *slots;  /* by hash: number of the entry, plus one; 0: free */
	size_t nslots;	  /* a power of two, or 0 */
	bool has_parents; /* a key that has_parent() may find */
	uint32_t *patterns;
	size_t npatterns, patterns_cap;
	struct networks *networks; /* NULL until the first question */
	struct regex **regexes;	   /* as that */
	size_t nregexes, refused;  /* that can't be asked */
};

struct table *
table_create(const char *name)
{
	struct table *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	hash_seed_make(&t->seed);
	if ((t->name = strdup(name)) == NULL) {
		table_free(t);
		return NULL;
	}
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	while (t->nregexes > 0)
		regex_free(t->regexes[--t->nregexes]);
	free(t->regexes);
	networks_free(t->networks);
	free(t->patterns);
	free(t->slots);
	free(t->entries);
	free(t->text);
	free(t->name);
	free(t);
}

/* -- the index -- */

/* The slot of a key, which is in lower case: that of its entry, or the free one where it belongs. */
static uint32_t *
slot_of(const struct table *t, const char *low)
{
	size_t i = hash_octets(&t->seed, low, strlen(low)) & (t->nslots - 1);

	while (t->slots[i] != 0 && !str_equal_nocase(t->entries[t->slots[i] - 1].key, low))
		i = (i + 1) & (t->nslots - 1);
	return &t->slots[i];
}

static int
key_lower(char low[TABLE_KEY_MAX + 1], const char *key)
{
	if (str_copy(low, TABLE_KEY_MAX + 1, key) == -1)
		return -1;
	str_lower(low);
	return 0;
}

/* The first of two entries with one key stays. */
static void
index_entry(struct table *t, size_t number)
{
	char low[TABLE_KEY_MAX + 1];
	uint32_t *slot;

	if (key_lower(low, t->entries[number].key) == 0 && *(slot = slot_of(t, low)) == 0)
		*slot = (uint32_t)number + 1;
}

/* Slots for so many entries, half of them free. */
static int
index_reserve(struct table *t, size_t entries)
{
	size_t n = t->nslots == 0 ? SLOTS_FIRST : t->nslots, i;
	uint32_t *slots;

	while (n < entries * 2)
		n *= 2;
	if (n == t->nslots)
		return 0;
	if ((slots = calloc(n, sizeof(*slots))) == NULL)
		return -1;
	free(t->slots);
	t->slots = slots;
	t->nslots = n;
	for (i = 0; i < t->n; i++)
		index_entry(t, i);
	return 0;
}

static const struct entry *
table_find(const struct table *t, const char *key)
{
	char low[TABLE_KEY_MAX + 1];
	uint32_t number;

	if (t->nslots == 0 || key_lower(low, key) == -1)
		return NULL;
	number = *slot_of(t, low);
	return number == 0 ? NULL : &t->entries[number - 1];
}

/* -- making it -- */

int
table_reserve(struct table *t, size_t entries)
{
	struct entry *more;

	if (entries > TABLE_ENTRIES_MAX)
		entries = TABLE_ENTRIES_MAX; /* what comes after them is refused */
	if (entries <= t->cap)
		return 0;
	if (index_reserve(t, entries) == -1 ||
	    (more = reallocarray(t->entries, entries, sizeof(*more))) == NULL)
		return -1;
	t->entries = more;
	t->cap = entries;
	return 0;
}

/*
 * Must the entry be tried, or is it found by its key?  ".example.org" is, "*.example.org"
 * and "@.example.org" too: see has_parent().
 */
static bool
is_pattern(const char *key)
{
	const char *at = strrchr(key, '@');

	if (at == NULL && strncmp(key, "*.", 2) == 0)
		return strchr(key + 1, '*') != NULL;
	return strchr(key, '*') != NULL || (at != NULL && at != key && at[1] == '.');
}

/* ".example.org", "*.example.org", "@.example.org" */
static bool
is_parent(const char *key)
{
	return key[0] == '.' || ((key[0] == '*' || key[0] == '@') && key[1] == '.');
}

static int
patterns_add(struct table *t, size_t number)
{
	size_t cap = t->patterns_cap == 0 ? 16 : t->patterns_cap * 2;
	uint32_t *more;

	if (t->npatterns == t->patterns_cap) {
		if ((more = reallocarray(t->patterns, cap, sizeof(*more))) == NULL)
			return -1;
		t->patterns = more;
		t->patterns_cap = cap;
	}
	t->patterns[t->npatterns++] = (uint32_t)number;
	return 0;
}

int
table_add(struct table *t, const char *key, const char *value)
{
	if (key[0] == '\0' || strlen(key) > TABLE_KEY_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (t->n == TABLE_ENTRIES_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	if (t->n == t->cap && table_reserve(t, t->cap == 0 ? 8 : t->cap * 2) == -1)
		return -1;
	if (is_pattern(key) && patterns_add(t, t->n) == -1)
		return -1;
	t->has_parents |= is_parent(key);
	t->entries[t->n] = (struct entry){key, value};
	index_entry(t, t->n++);
	return 0;
}

void
table_own_text(struct table *t, char *text)
{
	free(t->text);
	t->text = text;
}

bool
table_owns_text(const struct table *t)
{
	return t->text != NULL;
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

size_t
table_count(const struct table *t)
{
	return t->n;
}

/* -- by key -- */

enum table_answer
table_value(const struct table *t, const char *key, const char **value)
{
	const struct entry *e;

	if (t == NULL)
		return TABLE_TROUBLE;
	if ((e = table_find(t, key)) == NULL || e->value == NULL)
		return TABLE_NO;
	*value = e->value;
	return TABLE_YES;
}

enum table_answer
table_has_word(const struct table *t, const char *word)
{
	if (t == NULL)
		return TABLE_TROUBLE;
	return table_find(t, word) != NULL ? TABLE_YES : TABLE_NO;
}

/* -- by pattern -- */

/* Is the prefix and one of ".b.c", ".c" of "a.b.c" a key? */
static bool
has_parent(const struct table *t, const char *prefix, const char *name)
{
	char key[TABLE_KEY_MAX + 1];
	const char *dot;

	if (!t->has_parents)
		return false;
	for (dot = name; (dot = strchr(dot, '.')) != NULL; dot++)
		if (dot > name && str_format(key, sizeof(key), "%s%s", prefix, dot) == 0 &&
		    table_find(t, key) != NULL)
			return true;
	return false;
}

enum table_answer
table_has_domain(const struct table *t, const char *domain)
{
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (table_find(t, domain) != NULL || has_parent(t, "", domain) ||
	    has_parent(t, "*", domain))
		return TABLE_YES;
	for (i = 0; i < t->npatterns; i++)
		if (glob_matches_domain(t->entries[t->patterns[i]].key, domain))
			return TABLE_YES;
	return TABLE_NO;
}

static bool
mailbox_matches(const char *pattern, const struct address *a)
{
	const char *at = strrchr(pattern, '@');
	char local[TABLE_KEY_MAX + 1];
	size_t n;

	if (at == NULL)
		return glob_matches(pattern, a->local, true);
	n = (size_t)(at - pattern);
	memcpy(local, pattern, n);
	local[n] = '\0';
	return (n == 0 || glob_matches(local, a->local, true)) &&
	       glob_matches_domain(at + 1, a->domain);
}

/* A local part as a key of its own.  A quoted one must not pass for a whole address, or for "<>". */
static bool
has_user(const struct table *t, const char *local)
{
	return strpbrk(local, "@<>") == NULL &&
	       (table_find(t, local) != NULL || has_parent(t, "*", local));
}

enum table_answer
table_has_mailbox(const struct table *t, const struct address *a)
{
	char whole[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (table_find(t, "@") != NULL)
		return TABLE_YES;
	if (a->local[0] == '\0')
		return table_find(t, "<>") != NULL ? TABLE_YES : TABLE_NO;
	if (str_format(whole, sizeof(whole), "%s@%s", a->local, a->domain) == -1)
		return TABLE_NO;
	if (table_find(t, whole) != NULL || table_find(t, strrchr(whole, '@')) != NULL ||
	    has_user(t, a->local) || has_parent(t, "@", a->domain))
		return TABLE_YES;
	for (i = 0; i < t->npatterns; i++)
		if (mailbox_matches(t->entries[t->patterns[i]].key, a))
			return TABLE_YES;
	return TABLE_NO;
}

/* -- keys that say nothing -- */

static void
log_refused(const struct table *t, const char *event, const char *key, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, event);
	logline_str(&l, "table", t->name);
	logline_str(&l, "key", key);
	logline_str(&l, "why", why);
	logline_end(&l);
}

/* -- by network -- */

static struct networks *
compile_networks(const struct table *t)
{
	struct networks *networks;
	size_t i, refused = 0;

	if ((networks = networks_create()) == NULL)
		return NULL;
	for (i = 0; i < t->n; i++) {
		if (networks_add(networks, t->entries[i].key) == 0 ||
		    strcmp(t->entries[i].key, "unix") == 0)
			continue;
		if (errno != EINVAL) {
			networks_free(networks);
			return NULL;
		}
		if (refused++ < LOGGED_MAX)
			log_refused(t, "network-refused", t->entries[i].key, "not a network");
	}
	networks_seal(networks);
	return networks;
}

enum table_answer
table_has_network(struct table *t, const struct addr *a)
{
	if (t == NULL)
		return TABLE_TROUBLE;
	if (t->networks == NULL && (t->networks = compile_networks(t)) == NULL)
		return TABLE_TROUBLE;
	return networks_have(t->networks, a) ? TABLE_YES : TABLE_NO;
}

/* -- by regular expression -- */

/* All of a table are tried for one question: what counts is the states of all. */
static struct regex *
take_regex(const struct table *t, const char *text, size_t *states, const char **why)
{
	struct regex *r = NULL;

	*why = "too many in one table";
	if (t->nregexes == TABLE_REGEXES_MAX || (r = regex_create(text, why)) == NULL)
		return NULL;
	if (regex_size(r) <= TABLE_STATES_MAX - *states) {
		*states += regex_size(r);
		return r;
	}
	*why = "too many states in one table";
	regex_free(r);
	return NULL;
}

static int
compile_regexes(struct table *t)
{
	size_t i, states = 0;
	const char *why;
	struct regex *r;

	if ((t->regexes = calloc(TABLE_REGEXES_MAX, sizeof(struct regex *))) == NULL)
		return -1;
	for (i = 0; i < t->n; i++) {
		r = take_regex(t, t->entries[i].key, &states, &why);
		if (r != NULL)
			t->regexes[t->nregexes++] = r;
		else if (t->refused++ < LOGGED_MAX)
			log_refused(t, "regex-refused", t->entries[i].key, why);
	}
	if (t->refused > LOGGED_MAX)
		log_warn("event=regexes-refused table=%s count=%zu", t->name, t->refused);
	return 0;
}

enum table_answer
table_has_regex(struct table *t, const char *text)
{
	enum table_answer answer;
	size_t i;

	if (t == NULL || (t->regexes == NULL && compile_regexes(t) == -1))
		return TABLE_TROUBLE;
	for (i = 0; i < t->nregexes; i++)
		if ((answer = regex_matches(t->regexes[i], text)) != TABLE_NO)
			return answer;
	/* Nobody knows what the others would have said: a rule must not be passed over by them. */
	return t->refused > 0 ? TABLE_TROUBLE : TABLE_NO;
}
