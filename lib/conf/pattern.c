/* SPDX-License-Identifier: ISC */
/*
 * Format specifiers: paths made of an administrator's pattern and strangers'
 * addresses.
 *
 * Invariant: what a stranger chose stays within one component of the path and
 * is never "", "." or "..".  Nothing is expanded twice: a substituted value is
 * not looked at for specifiers.
 */
#include "lib/conf/pattern.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define VALUE_MAX  1024
#define OFFSET_MAX 9999

enum part { PART_WHOLE, PART_USER, PART_DOMAIN };

static const struct {
	const char *name;
	size_t offset; /* of the value in struct pattern_values */
	enum part part;
} specifiers[] = {
    {"sender", offsetof(struct pattern_values, sender), PART_WHOLE},
    {"sender.user", offsetof(struct pattern_values, sender), PART_USER},
    {"sender.domain", offsetof(struct pattern_values, sender), PART_DOMAIN},
    {"rcpt", offsetof(struct pattern_values, rcpt), PART_WHOLE},
    {"rcpt.user", offsetof(struct pattern_values, rcpt), PART_USER},
    {"rcpt.domain", offsetof(struct pattern_values, rcpt), PART_DOMAIN},
    {"dest", offsetof(struct pattern_values, dest), PART_WHOLE},
    {"dest.user", offsetof(struct pattern_values, dest), PART_USER},
    {"dest.domain", offsetof(struct pattern_values, dest), PART_DOMAIN},
    {"user.username", offsetof(struct pattern_values, username), PART_WHOLE},
    {"user.directory", offsetof(struct pattern_values, directory), PART_WHOLE},
};

enum { MODIFIER_LOWERCASE = 1, MODIFIER_UPPERCASE = 2, MODIFIER_STRIP = 4 };

static const char *const modifiers[] = {"lowercase", "uppercase", "strip"};

struct specifier {    /* one %{...}, understood */
	size_t index; /* in specifiers */
	bool ranged, single;
	int first, last;
	unsigned int modifiers;
};

static int fault_at(struct pattern_fault *f, size_t offset, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int
fault_at(struct pattern_fault *f, size_t offset, const char *fmt, ...)
{
	va_list ap;

	f->offset = offset;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -1;
}

static bool
is_one_of(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && strncmp(s, word, len) == 0;
}

/* A number, perhaps negative, of at most four digits; the pointer moves past it. */
static bool
parse_offset(const char **s, int *out)
{
	const char *at = *s;
	bool negative = *at == '-';
	int v = 0;

	at += negative;
	if (!char_is_digit((unsigned char)*at))
		return false;
	for (; char_is_digit((unsigned char)*at); at++) {
		v = v * 10 + (*at - '0');
		if (v > OFFSET_MAX)
			return false;
	}
	*out = negative ? -v : v;
	*s = at;
	return true;
}

/* "[FIRST]", "[FIRST:]", "[:LAST]" or "[FIRST:LAST]". */
static bool
parse_range(const char **s, struct specifier *out)
{
	const char *at = *s + 1;
	bool first = parse_offset(&at, &out->first);

	out->ranged = true;
	out->single = *at != ':';
	out->last = OFFSET_MAX;
	if (!out->single) {
		at++;
		if (*at != ']' && !parse_offset(&at, &out->last))
			return false;
	} else if (!first) {
		return false;
	}
	if (*at != ']')
		return false;
	*s = at + 1;
	return true;
}

/* ":MODIFIER|MODIFIER" */
static bool
parse_modifiers(const char **s, struct specifier *out)
{
	const char *at = *s;

	do {
		size_t len, i;

		at++;
		len = strcspn(at, "|}");
		for (i = 0; i < NITEMS(modifiers); i++) {
			if (is_one_of(at, len, modifiers[i]))
				break;
		}
		if (i == NITEMS(modifiers))
			return false;
		out->modifiers |= 1U << i;
		at += len;
	} while (*at == '|');
	*s = at;
	return true;
}

/* *at is at "%{" and moves past the "}"; the fault is relative to pattern. */
static int
parse_specifier(
    const char *pattern, const char **at, struct specifier *out, struct pattern_fault *fault)
{
	const char *s = *at + 2;
	size_t len = strcspn(s, "[:}"), i;

	*out = (struct specifier){0};
	for (i = 0; i < NITEMS(specifiers); i++) {
		if (is_one_of(s, len, specifiers[i].name))
			break;
	}
	if (i == NITEMS(specifiers))
		return fault_at(fault, (size_t)(*at - pattern),
		    "unknown format specifier '%%{%.*s}'", len < 64 ? (int)len : 64, s);
	out->index = i;
	s += len;
	if (*s == '[' && !parse_range(&s, out))
		return fault_at(fault, (size_t)(s - pattern), "not a range such as [0:2]");
	if (*s == ':' && !parse_modifiers(&s, out))
		return fault_at(fault, (size_t)(s - pattern),
		    "unknown modifier: there are lowercase, uppercase and strip");
	if (*s != '}')
		return fault_at(fault, (size_t)(*at - pattern), "'%%{' without a '}'");
	*at = s + 1;
	return 0;
}

static bool
is_dots(const char *s, size_t len)
{
	return is_one_of(s, len, ".") || is_one_of(s, len, "..");
}

int
pattern_check(const char *pattern, struct pattern_fault *fault)
{
	struct specifier spec;
	const char *at = pattern, *component = pattern;

	if (*pattern == '\0')
		return fault_at(fault, 0, "an empty path");
	if (*pattern == '~' && pattern[1] != '/' && pattern[1] != '\0')
		return fault_at(fault, 1, "'~' is followed by '/'");
	while (*at != '\0') {
		if (at[0] == '%' && at[1] == '{') {
			if (parse_specifier(pattern, &at, &spec, fault) == -1)
				return -1;
			continue;
		}
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return fault_at(fault, (size_t)(at - pattern), "control byte in a path");
		at++;
		if (*at != '/' && *at != '\0')
			continue;
		while (*component == '/')
			component++;
		if (at > component && is_dots(component, (size_t)(at - component)))
			return fault_at(
			    fault, (size_t)(component - pattern), "'.' or '..' in a path");
		component = at;
	}
	return 0;
}

static const char *
value_of(const struct pattern_values *v, size_t index)
{
	const char *value;

	memcpy(&value, (const char *)v + specifiers[index].offset, sizeof(value));
	return value == NULL ? "" : value;
}

/* The wanted part of an address; a local part may itself have an '@', quoted. */
static int
take_part(const char *value, enum part part, char dst[VALUE_MAX])
{
	const char *at = strrchr(value, '@');

	if (part == PART_WHOLE)
		return str_copy(dst, VALUE_MAX, value);
	if (part == PART_DOMAIN)
		return str_copy(dst, VALUE_MAX, at == NULL ? "" : at + 1);
	return str_format(
	    dst, VALUE_MAX, "%.*s", at == NULL ? VALUE_MAX : (int)(at - value), value);
}

/* Removes "+tag" from the local part. */
static void
strip_tag(char *value)
{
	char *plus = strchr(value, '+'), *at = strrchr(value, '@');

	if (plus == NULL || (at != NULL && plus > at))
		return;
	if (at == NULL)
		*plus = '\0';
	else
		memmove(plus, at, strlen(at) + 1);
}

static void
apply_modifiers(const struct specifier *spec, char *value)
{
	size_t i;

	if ((spec->modifiers & MODIFIER_STRIP) != 0)
		strip_tag(value);
	if ((spec->modifiers & MODIFIER_LOWERCASE) != 0)
		str_lower(value);
	for (i = 0; (spec->modifiers & MODIFIER_UPPERCASE) != 0 && value[i] != '\0'; i++) {
		if (value[i] >= 'a' && value[i] <= 'z')
			value[i] = (char)(value[i] - 'a' + 'A');
	}
}

static void
apply_range(const struct specifier *spec, char *value)
{
	int len = (int)strlen(value), first, end;

	if (!spec->ranged)
		return;
	first = spec->first < 0 ? spec->first + len : spec->first;
	if (spec->single)
		end = first + 1;
	else
		end = spec->last < 0 ? spec->last + len : spec->last + 1;
	if (first < 0)
		first = 0;
	if (end > len)
		end = len;
	if (first >= end) {
		value[0] = '\0';
		return;
	}
	memmove(value, value + first, (size_t)(end - first));
	value[end - first] = '\0';
}

static bool
is_safe(const char *value)
{
	for (; *value != '\0'; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f || *value == '/')
			return false;
	return true;
}

struct path { /* being written; component is where its last one starts */
	char *dst;
	size_t size, len, component;
	bool substituted; /* something in this component was */
};

/* A component is complete: whether it may stand. */
static int
path_end_component(struct path *p)
{
	size_t len = p->len - p->component;

	if (is_dots(p->dst + p->component, len) || (len == 0 && p->substituted)) {
		errno = EINVAL;
		return -1;
	}
	p->substituted = false;
	return 0;
}

static int
path_add(struct path *p, const char *s, size_t n)
{
	for (; n > 0; s++, n--) {
		if (*s == '/' && path_end_component(p) == -1)
			return -1;
		if (p->len + 1 >= p->size) {
			errno = ENAMETOOLONG;
			return -1;
		}
		p->dst[p->len++] = *s;
		if (*s == '/')
			p->component = p->len;
	}
	return 0;
}

static int
path_add_directory(struct path *p, const struct pattern_values *v)
{
	if (v->directory == NULL || *v->directory != '/') {
		errno = EINVAL;
		return -1;
	}
	return path_add(p, v->directory, strlen(v->directory));
}

static int
path_add_specifier(struct path *p, const struct specifier *spec, const struct pattern_values *v)
{
	const char *name = specifiers[spec->index].name;
	char value[VALUE_MAX];

	if (strcmp(name, "user.directory") == 0 && !spec->ranged && spec->modifiers == 0)
		return path_add_directory(p, v);
	if (take_part(value_of(v, spec->index), specifiers[spec->index].part, value) == -1)
		return -1;
	apply_modifiers(spec, value);
	apply_range(spec, value);
	if (!is_safe(value)) {
		errno = EINVAL;
		return -1;
	}
	p->substituted = true;
	return path_add(p, value, strlen(value));
}

/* What a relative path starts with; moves past a "~". */
static int
path_start(struct path *p, const char **pattern, const struct pattern_values *v)
{
	if (**pattern == '/' || strncmp(*pattern, "%{user.directory}", 17) == 0)
		return 0;
	if (path_add_directory(p, v) == -1)
		return -1;
	if (**pattern != '~')
		return path_add(p, "/", 1);
	(*pattern)++;
	return 0;
}

static int
pattern_write(struct path *p, const char *pattern, const struct pattern_values *v)
{
	struct pattern_fault fault;
	struct specifier spec;
	const char *at = pattern;
	size_t n;

	if (pattern_check(pattern, &fault) == -1) {
		errno = EINVAL;
		return -1;
	}
	if (path_start(p, &at, v) == -1)
		return -1;
	while (*at != '\0') {
		if (at[0] == '%' && at[1] == '{') {
			(void)!parse_specifier(pattern, &at, &spec, &fault);
			if (path_add_specifier(p, &spec, v) == -1)
				return -1;
			continue;
		}
		n = 1 + strcspn(at + 1, "%");
		if (path_add(p, at, n) == -1)
			return -1;
		at += n;
	}
	return path_end_component(p);
}

int
pattern_expand(const char *pattern, const struct pattern_values *v, char *dst, size_t size)
{
	struct path p = {.dst = dst, .size = size};

	bug_on(size == 0);
	if (pattern_write(&p, pattern, v) == -1) {
		dst[0] = '\0';
		return -1;
	}
	dst[p.len] = '\0';
	return 0;
}
