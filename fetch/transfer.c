/* SPDX-License-Identifier: ISC */
/*
 * libcurl, kept on a short lead.
 *
 * Invariants: https alone, TLS 1.2 or later, verified by the certificates that
 * were handed over; no redirects, proxies, cookies, .netrc or compression; one
 * request a connection; answers bounded in octets and in time.  All that libcurl
 * gives back is overwritten first: tokens go through its buffers.
 * Fatal: no memory for an event, without which a transfer would never end.
 */
#include "fetch/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/fetch.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"

#if LIBCURL_VERSION_NUM < 0x075500
#error "libcurl 7.85 or later is needed"
#endif

#define HEADERS_MAX 65536 /* octets of all header lines of an answer, 100 Continue included */
#define RESOLVE_MAX 1536  /* "host:port:address,..." */

struct transfers {
	CURLM *multi;
	struct event_base *base;
	struct event *timer;
};

struct transfer {
	struct transfers *ts;
	CURL *easy;
	struct curl_slist *headers, *resolve;
	void (*done)(void *arg, const struct transfer_result *result);
	void *arg;
	const char *refused; /* why we ended it; NULL: we did not */
	size_t nheaders, nbody;
	char error[CURL_ERROR_SIZE];
	uint8_t body[IPC_FETCH_MAX];
};

/* -- memory that is wiped -- */

static void
wipe_free(void *p)
{
	if (p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *
wipe_realloc(void *p, size_t size)
{
	size_t had = p == NULL ? 0 : malloc_usable_size(p);
	void *fresh = malloc(size);

	if (fresh == NULL)
		return NULL;
	if (p != NULL)
		memcpy(fresh, p, had < size ? had : size);
	wipe_free(p);
	return fresh;
}

/* -- the event loop -- */

static void
transfer_free(struct transfer *t)
{
	(void)curl_multi_remove_handle(t->ts->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->resolve);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

void
transfer_cancel(struct transfer *t)
{
	if (t != NULL)
		transfer_free(t);
}

static void
transfer_end(struct transfer *t, CURLcode rc)
{
	struct transfer_result result = {.body = {t->body, t->nbody}};
	long code = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
	if (t->refused != NULL)
		result.why = t->refused;
	else if (rc != CURLE_OK)
		result.why = t->error[0] != '\0' ? t->error : curl_easy_strerror(rc);
	else if (code < 100 || code > 999)
		result.why = "no answer of HTTP";
	result.code = result.why == NULL ? (unsigned int)code : 0;
	t->done(t->arg, &result);
	transfer_free(t);
}

static void
reap(struct transfers *ts)
{
	struct transfer *t;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(ts->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		transfer_end(t, m->data.result);
	}
}

static void
act(struct transfers *ts, curl_socket_t fd, int what)
{
	int running;

	(void)curl_multi_socket_action(ts->multi, fd, what, &running);
	reap(ts);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to know of a socket, or no more. */
static int
watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *old)
{
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0));
	struct transfers *ts = arg;
	struct event *event = NULL;

	(void)easy;
	if (old != NULL)
		event_free(old);
	if (what != CURL_POLL_REMOVE) {
		event = event_new(ts->base, fd, events, on_ready, ts);
		if (event == NULL || event_add(event, NULL) == -1)
			fatal("event=no-memory");
	}
	(void)curl_multi_assign(ts->multi, fd, event);
	return 0;
}

/* When to look without being told; -1: not at all.  Never from in here. */
static int
set_timer(CURLM *multi, long ms, void *arg)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct transfers *ts = arg;

	(void)multi;
	if (ms < 0)
		(void)event_del(ts->timer);
	else if (event_add(ts->timer, &tv) == -1)
		fatal("event=no-memory");
	return 0;
}

/* -- start -- */

/* Made for libcurl with OpenSSL, which is here what is linked, too. */
static bool
is_our_curl(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return v->version_num >= LIBCURL_VERSION_NUM && v->ssl_version != NULL &&
	       (strncmp(v->ssl_version, "OpenSSL/", 8) == 0 ||
		   strncmp(v->ssl_version, "LibreSSL/", 9) == 0);
}

struct transfers *
transfers_create(struct event_base *base)
{
	struct transfers *ts;

	if (curl_global_init_mem(
		CURL_GLOBAL_DEFAULT, malloc, wipe_free, wipe_realloc, strdup, calloc) != CURLE_OK ||
	    !is_our_curl()) {
		log_warn("event=libcurl-refused version=\"%s\"", curl_version());
		errno = ENOTSUP;
		return NULL;
	}
	if ((ts = calloc(1, sizeof(*ts))) == NULL)
		return NULL;
	ts->base = base;
	ts->timer = event_new(base, -1, 0, on_time, ts);
	ts->multi = curl_multi_init();
	if (ts->timer == NULL || ts->multi == NULL)
		fatal("event=no-memory");
	(void)curl_multi_setopt(ts->multi, CURLMOPT_SOCKETFUNCTION, watch);
	(void)curl_multi_setopt(ts->multi, CURLMOPT_SOCKETDATA, ts);
	(void)curl_multi_setopt(ts->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)curl_multi_setopt(ts->multi, CURLMOPT_TIMERDATA, ts);
	(void)curl_multi_setopt(ts->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return ts;
}

/* -- a URL, by the parser that will be used for it in the end -- */

static int
take_host(const char *text, struct transfer_host *out)
{
	size_t len = strlen(text);
	struct addr a;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		if (len - 2 >= sizeof(out->name))
			return -1;
		memcpy(out->name, text + 1, len - 2);
		out->name[len - 2] = '\0';
	} else if (str_copy(out->name, sizeof(out->name), text) == -1) {
		return -1;
	}
	out->is_address = addr_parse(out->name, out->port, &a) == 0;
	return text[0] == '[' && !out->is_address ? -1 : 0;
}

int
transfer_host_of(const char *url, struct transfer_host *out)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *extra = NULL;
	uint64_t n;
	int rc = -1;

	if (u == NULL || curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_FRAGMENT, &extra, 0) != CURLUE_NO_FRAGMENT ||
	    curl_url_get(u, CURLUPART_ZONEID, &extra, 0) != CURLUE_NO_ZONEID)
		goto out;
	if (strcmp(scheme, "https") != 0 || str_u64(port, 1, 65535, &n) == -1)
		goto out;
	out->port = (uint16_t)n;
	rc = take_host(host, out);
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(extra);
	curl_url_cleanup(u);
	return rc;
}

/* -- one transfer -- */

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	n *= size;
	if (n > sizeof(t->body) - t->nbody) {
		t->refused = "the answer is too long";
		return 0;
	}
	memcpy(t->body + t->nbody, data, n);
	t->nbody += n;
	return n;
}

/* Nothing in them is needed; older versions of libcurl keep them all, however many they are. */
static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)data;
	n *= size;
	if (n > HEADERS_MAX - t->nheaders) {
		t->refused = "the answer has too many headers";
		return 0;
	}
	t->nheaders += n;
	return n;
}

/* Plain text in the buffers of TLS is overwritten when it was read or sent. */
static CURLcode
on_tls(CURL *easy, void *ctx, void *arg)
{
	(void)easy;
	(void)arg;
#ifdef SSL_OP_CLEANSE_PLAINTEXT
	(void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
#else
	(void)ctx;
#endif
	return CURLE_OK;
}

/* An entry for its cache of names, so that libcurl never asks for one itself. */
static struct curl_slist *
resolve_entry(const struct transfer_order *o)
{
	char text[RESOLVE_MAX];
	size_t i;

	if (str_format(text, sizeof(text), "%s:%u:", o->host->name, o->host->port) == -1)
		return NULL;
	for (i = 0; i < o->naddresses; i++) {
		bool is_v6 = strchr(o->addresses[i], ':') != NULL;

		if ((i > 0 && str_append(text, sizeof(text), ",") == -1) ||
		    (is_v6 && str_append(text, sizeof(text), "[") == -1) ||
		    str_append(text, sizeof(text), o->addresses[i]) == -1 ||
		    (is_v6 && str_append(text, sizeof(text), "]") == -1))
			return NULL;
	}
	return curl_slist_append(NULL, text);
}

static int
set_lists(struct transfer *t, const struct transfer_order *o)
{
	/* "Expect:" without a value: it is not sent. */
	static const char *const lines[] = {"Accept: application/json", "Expect:"};
	struct curl_slist *more;
	size_t i;

	for (i = 0; i < NITEMS(lines); i++) {
		if ((more = curl_slist_append(t->headers, lines[i])) == NULL)
			return -1;
		t->headers = more;
	}
	if (o->naddresses > 0 && (t->resolve = resolve_entry(o)) == NULL)
		return -1;
	return 0;
}

#define SET(option, value) (curl_easy_setopt(t->easy, (option), (value)) != CURLE_OK)

/* What it must do, and what it must not: a default of libcurl's may change. */
static int
set_bounds(struct transfer *t, const struct transfer_order *o)
{
	struct curl_blob ca = {
	    .data = (void *)(uintptr_t)o->ca.data, .len = o->ca.len, .flags = CURL_BLOB_COPY};

	return SET(CURLOPT_PROTOCOLS_STR, "https") || SET(CURLOPT_FOLLOWLOCATION, 0L) ||
		       SET(CURLOPT_PROXY, "") || SET(CURLOPT_NOPROXY, "*") ||
		       SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) ||
		       SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) || SET(CURLOPT_NOSIGNAL, 1L) ||
		       SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ||
		       SET(CURLOPT_HTTP09_ALLOWED, 0L) || SET(CURLOPT_FORBID_REUSE, 1L) ||
		       SET(CURLOPT_FRESH_CONNECT, 1L) ||
		       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
		       SET(CURLOPT_SSL_VERIFYPEER, 1L) || SET(CURLOPT_SSL_VERIFYHOST, 2L) ||
		       SET(CURLOPT_SSL_SESSIONID_CACHE, 0L) || SET(CURLOPT_CAPATH, NULL) ||
		       SET(CURLOPT_CAINFO, NULL) || SET(CURLOPT_CAINFO_BLOB, &ca) ||
		       SET(CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS) ||
		       SET(CURLOPT_TIMEOUT_MS, (long)FETCH_TRANSFER_MS)
		   ? -1
		   : 0;
}

static int
set_order(struct transfer *t, const struct transfer_order *o)
{
	return SET(CURLOPT_URL, o->url) || SET(CURLOPT_PATH_AS_IS, 1L) ||
		       SET(CURLOPT_RESOLVE, t->resolve) || SET(CURLOPT_HTTPHEADER, t->headers) ||
		       SET(CURLOPT_USERAGENT, "Postern") || SET(CURLOPT_POST, 1L) ||
		       SET(CURLOPT_POSTFIELDSIZE, (long)o->form.len) ||
		       SET(CURLOPT_POSTFIELDS, (const char *)o->form.data) ||
		       SET(CURLOPT_WRITEFUNCTION, on_body) || SET(CURLOPT_WRITEDATA, t) ||
		       SET(CURLOPT_HEADERFUNCTION, on_header) || SET(CURLOPT_HEADERDATA, t) ||
		       SET(CURLOPT_SSL_CTX_FUNCTION, on_tls) ||
		       SET(CURLOPT_ERRORBUFFER, t->error) || SET(CURLOPT_PRIVATE, t)
		   ? -1
		   : 0;
}

#undef SET

struct transfer *
transfer_start(struct transfers *ts, const struct transfer_order *order)
{
	struct transfer *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->ts = ts;
	t->done = order->done;
	t->arg = order->arg;
	if ((t->easy = curl_easy_init()) != NULL && set_lists(t, order) == 0 &&
	    set_bounds(t, order) == 0 && set_order(t, order) == 0 &&
	    curl_multi_add_handle(ts->multi, t->easy) == CURLM_OK)
		return t;
	transfer_free(t);
	return NULL;
}
