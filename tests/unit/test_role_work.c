/* SPDX-License-Identifier: ISC */
/*
 * Behind the walls there is room to work: what each role's libraries do for a
 * living (libevent, libtls, SQLite, a Maildir, sockets for DNS) succeeds after
 * role_enter(), and what breaks after a chroot or an hour does not break.
 */
#include "tests/unit/role_child.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <sqlite3.h>
#include <time.h>
#include <tls.h>

#include "lib/base/log.h"

#define TOKYO "/usr/share/zoneinfo/Asia/Tokyo"

/* Every role: memory, clocks, random numbers, sorting, zones of time. */

static int
compare_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 64);
}

static int
job_base(void *arg)
{
	static unsigned char sorted[256][64];
	const struct test_role *role = arg;
	struct timespec ts;
	time_t t = 1767225600;
	unsigned char *p;

	MUST((p = malloc(1 << 20)) != NULL);
	MUST((p = realloc(p, 40 << 20)) != NULL);
	p[(40 << 20) - 1] = 1;
	MUST((p = realloc(p, 100)) != NULL);
	free(p);
	MUST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && time(NULL) > t);
	/* Without a vDSO; a role that has next to nothing is not started there. */
	MUST((syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts) == 0) ==
	     ((role->rights & RIGHT_BASE) != 0));
	MUST(RAND_bytes(&sorted[0][0], sizeof(sorted)) == 1);
	MUST(EVP_RAND_reseed(RAND_get0_primary(NULL), 1, NULL, 0, NULL, 0) == 1);
	qsort(sorted, 256, 64, compare_bytes);
	MUST(localtime(&t) != NULL && mktime(&(struct tm){.tm_year = 126}) != -1);
	MUST(open("/etc/localtime", O_RDONLY) == -1 && (errno == ENOENT || errno == EACCES));
	return 0;
}

static void
test_base(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(test_roles); i++)
		works(test_roles[i].name, job_base, (void *)(uintptr_t)&test_roles[i]);
}

static int
job_abort(void *arg)
{
	(void)arg;
	abort();
}

/* A defect of ours is told from an attack. */
static void
test_abort_is_sigabrt(void **state)
{
	struct role_rights r;
	struct child_end end;

	(void)state;
	child_rights(&r, role_named("session"), false);
	child_run(&r, job_abort, NULL, &end);
	assert_int_equal(end.outcome, PROBE_DIED);
	assert_int_equal(end.signal, SIGABRT);
	assert_string_equal(end.call, "");
}

static int
job_write_file(void *arg)
{
	MUST(write(*(int *)arg, "x", 1) == -1 && errno == EFBIG);
	return 0;
}

/* stderr may be a file: a role that may grow none must not die of a log line. */
static void
test_file_limit_does_not_kill(void **state)
{
	FILE *fp = tmpfile();
	int fd;

	(void)state;
	assert_non_null(fp);
	fd = fileno(fp);
	works("session", job_write_file, &fd);
	(void)fclose(fp);
}

/* Time zone. */

static void
move_to_tokyo(void)
{
	(void)unsetenv("TZ");
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(TOKYO, "/etc/localtime", NULL, MS_BIND, NULL) == -1)
		_exit(97);
}

static int
job_tokyo(void *arg)
{
	time_t t = 1767225600;
	struct tm tm;

	(void)arg;
	MUST(localtime(&t) != NULL && localtime_r(&t, &tm) != NULL);
	MUST(tm.tm_gmtoff == 9 * 3600);
	return 0;
}

static int
stay_here(void **state)
{
	(void)state;
	child_before = NULL;
	return 0;
}

static void
test_time_zone_survives(void **state)
{
	(void)state;
	if (getuid() != 0 || access(TOKYO, R_OK) != 0 || access("/etc/localtime", R_OK) != 0) {
		print_message("skipped: needs root and tzdata\n");
		skip();
	}
	child_before = move_to_tokyo;
	expect_works(role_named("session"), true, job_tokyo, NULL);
}

/* Sessions: accept, evbuffers, the event loop. */

static int
listen_on_loopback(uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&sin, len), errno);
	assert_return_code(listen(fd, 16), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&sin, &len), errno);
	*port = ntohs(sin.sin_port);
	return fd;
}

static int
connect_to_loopback(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd != -1 && connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1) {
		error = errno;
		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int
job_accept(void *arg)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss), optlen = sizeof(int);
	char buf[8];
	int fd, error;

	MUST((fd = accept4(
		  *(int *)arg, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	MUST(getsockname(fd, (struct sockaddr *)&ss, &len) == 0);
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &optlen) == 0);
	MUST(send(fd, "220 hello\r\n", 11, MSG_DONTWAIT | MSG_NOSIGNAL) == 11);
	MUST(recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 4);
	MUST(shutdown(fd, SHUT_WR) == 0 && close(fd) == 0);
	return 0;
}

static void
test_accept(void **state)
{
	uint16_t port;
	int listener = listen_on_loopback(&port), client[2], i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_return_code(client[i] = connect_to_loopback(port), errno);
		assert_int_equal(write(client[i], "EHLO", 4), 4);
	}
	works("session", job_accept, &listener);
	(void)close(client[0]);
	(void)close(client[1]);
	(void)close(listener);
}

#define ECHO_BYTES 100000

struct loop {
	struct event_base *base;
	int fd[2];
	bool timed;
	size_t sent, echoed;
};

static void
loop_check(struct loop *l)
{
	if (l->echoed == ECHO_BYTES && l->timed)
		(void)event_base_loopbreak(l->base);
}

static void
on_echo(evutil_socket_t fd, short what, void *arg)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)what;
	(void)arg;
	if (n > 0)
		(void)send(fd, buf, (size_t)n, MSG_NOSIGNAL);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	static char buf[4096];
	struct loop *l = arg;
	ssize_t n;

	if ((what & EV_WRITE) != 0 && l->sent < ECHO_BYTES && l->sent == l->echoed) {
		n = send(fd, buf,
		    l->sent + sizeof(buf) < ECHO_BYTES ? sizeof(buf) : ECHO_BYTES - l->sent,
		    MSG_DONTWAIT);
		l->sent += n > 0 ? (size_t)n : 0;
	}
	if ((what & EV_READ) != 0 && (n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		l->echoed += (size_t)n;
	loop_check(l);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->timed = true;
	loop_check(l);
}

static int
job_loop(void *arg)
{
	struct timeval tv = {0, 1000};
	struct loop *l = arg;
	struct event *server = event_new(l->base, l->fd[0], EV_READ | EV_PERSIST, on_echo, l);
	struct event *client = event_new(
	    l->base, l->fd[1], EV_READ | EV_WRITE | EV_PERSIST, on_client, l);

	MUST(server != NULL && client != NULL);
	MUST(event_add(server, NULL) == 0 && event_add(client, NULL) == 0);
	MUST(event_base_once(l->base, -1, EV_TIMEOUT, on_timer, l, &tv) == 0);
	MUST(event_base_dispatch(l->base) == 0 && l->timed && l->echoed == ECHO_BYTES);
	event_free(server);
	event_free(client);
	event_base_free(l->base);
	return 0;
}

static void
test_event_loop(void **state)
{
	static const char *const roles[] = {"session", "control", "delivery"};
	struct loop l;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(roles); i++) {
		memset(&l, 0, sizeof(l));
		/* An epoll set is shared across fork(): one base per child. */
		assert_non_null(l.base = event_base_new());
		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l.fd), errno);
		expect_works(role_named(roles[i]), false, job_loop, &l);
		event_base_free(l.base);
		(void)close(l.fd[0]);
		(void)close(l.fd[1]);
	}
}

/* TLS, both ends in the sandbox, the client with its authorities from memory. */

struct handshake {
	struct tls *server;
	struct tls *client;
	struct tls *accepted;
	int sv[2];
};

static void
certificate_make(char **pem, size_t *len, char **key, size_t *keylen)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name;
	BIO *out = BIO_new(BIO_s_mem()), *keyout = BIO_new(BIO_s_mem());
	X509_EXTENSION *san = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, "DNS:mx.example.org");
	char *p;

	assert_true(pkey != NULL && x != NULL && out != NULL && keyout != NULL && san != NULL);
	name = X509_get_subject_name(x);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	(void)X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.example.org", -1, -1, 0);
	(void)X509_set_issuer_name(x, name);
	(void)X509_add_ext(x, san, -1);
	(void)X509_set_pubkey(x, pkey);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(out, x), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(keyout, pkey, NULL, NULL, 0, NULL, NULL), 1);
	*len = (size_t)BIO_get_mem_data(out, &p);
	assert_non_null(*pem = strndup(p, *len));
	*keylen = (size_t)BIO_get_mem_data(keyout, &p);
	assert_non_null(*key = strndup(p, *keylen));
	X509_EXTENSION_free(san);
	BIO_free(out);
	BIO_free(keyout);
	X509_free(x);
	EVP_PKEY_free(pkey);
}

static void
handshake_prepare(struct handshake *h)
{
	struct tls_config *server = tls_config_new(), *client = tls_config_new();
	char *pem, *key;
	size_t len, keylen;

	certificate_make(&pem, &len, &key, &keylen);
	assert_return_code(
	    tls_config_set_keypair_mem(server, (uint8_t *)pem, len, (uint8_t *)key, keylen), errno);
	assert_return_code(tls_config_set_ca_mem(client, (uint8_t *)pem, len), errno);
	assert_non_null(h->server = tls_server());
	assert_non_null(h->client = tls_client());
	assert_return_code(tls_configure(h->server, server), errno);
	assert_return_code(tls_configure(h->client, client), errno);
	assert_return_code(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, h->sv), errno);
	tls_config_free(server);
	tls_config_free(client);
	free(pem);
	free(key);
}

static bool
is_pending(int rc)
{
	return rc == TLS_WANT_POLLIN || rc == TLS_WANT_POLLOUT;
}

static ssize_t
take_octets(struct tls *tls, void *p, size_t n, void *arg)
{
	ssize_t got = recv(*(int *)arg, p, n, MSG_DONTWAIT);

	(void)tls;
	return got == -1 && errno == EAGAIN ? TLS_WANT_POLLIN : got;
}

static ssize_t
give_octets(struct tls *tls, const void *p, size_t n, void *arg)
{
	ssize_t sent = send(*(int *)arg, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)tls;
	return sent == -1 && errno == EAGAIN ? TLS_WANT_POLLOUT : sent;
}

static int
job_handshake(void *arg)
{
	struct handshake *h = arg;
	int client = TLS_WANT_POLLIN, server = TLS_WANT_POLLIN, rounds;
	char buf[16];

	MUST(tls_accept_cbs(h->server, &h->accepted, take_octets, give_octets, &h->sv[0]) == 0);
	MUST(
	    tls_connect_cbs(h->client, take_octets, give_octets, &h->sv[1], "mx.example.org") == 0);
	for (rounds = 0; rounds < 100 && (client != 0 || server != 0); rounds++) {
		if (client != 0)
			client = tls_handshake(h->client);
		if (server != 0)
			server = tls_handshake(h->accepted);
		MUST((client == 0 || is_pending(client)) && (server == 0 || is_pending(server)));
	}
	MUST(client == 0 && server == 0);
	MUST(tls_write(h->client, "EHLO", 4) == 4);
	MUST(tls_read(h->accepted, buf, sizeof(buf)) == 4);
	(void)tls_close(h->client);
	MUST(tls_read(h->accepted, buf, sizeof(buf)) <= 0);
	(void)tls_close(h->accepted);
	tls_free(h->accepted);
	return 0;
}

static void
test_tls(void **state)
{
	static const char *const roles[] = {"session", "delivery"};
	struct handshake h;
	size_t i, n;

	(void)state;
	for (i = 0; i < NITEMS(roles); i++)
		for (n = 0; n < (getuid() == 0 ? 2 : 1); n++) {
			memset(&h, 0, sizeof(h));
			handshake_prepare(&h);
			expect_works(role_named(roles[i]), n == 1, job_handshake, &h);
			(void)close(h.sv[0]);
			(void)close(h.sv[1]);
			tls_free(h.server);
			tls_free(h.client);
		}
}

/* The spool. */

static int
job_spool(void *arg)
{
	static const char *const sql[] = {"pragma locking_mode=exclusive",
	    "pragma journal_mode=wal", "pragma synchronous=full",
	    "create table if not exists t(a integer primary key, b blob)", "begin immediate",
	    "insert into t(b) values(zeroblob(3000000))", "commit", "update t set b = zeroblob(10)",
	    "pragma wal_checkpoint(truncate)", "delete from t", "vacuum", "pragma integrity_check"};
	char path[80];
	struct statfs fs;
	sqlite3 *db;
	size_t i;
	int round, fd;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%s/spool.db", child_root);
	for (round = 0; round < 2; round++) {
		MUST(sqlite3_open_v2(path, &db,
			 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			 NULL) == SQLITE_OK);
		for (i = 0; i < NITEMS(sql); i++)
			MUST(sqlite3_exec(db, sql[i], NULL, NULL, NULL) == SQLITE_OK);
		MUST(sqlite3_close(db) == SQLITE_OK);
	}
	MUST((fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1);
	MUST(fstatfs(fd, &fs) == 0 && fdatasync(fd) == 0 && fsync(fd) == 0 && close(fd) == 0);
	return 0;
}

static void
test_spool(void **state)
{
	(void)state;
	works("queue", job_spool, NULL);
}

/* A mailbox. */

static int
job_maildir(void *arg)
{
	static const char *const dirs[] = {"tmp", "new", "cur"};
	struct stat st;
	size_t i;
	int fd, dir;

	(void)arg;
	for (i = 0; i < NITEMS(dirs); i++)
		MUST(mkdirat(AT_FDCWD, dirs[i], 0700) == 0);
	MUST((fd = openat(AT_FDCWD, "tmp/1", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) != -1);
	MUST(write(fd, "Subject: x\n\n", 12) == 12 && fsync(fd) == 0 && close(fd) == 0);
	MUST((dir = openat(AT_FDCWD, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1);
	MUST(renameat2(AT_FDCWD, "tmp/1", dir, "1", RENAME_NOREPLACE) == 0 && fsync(dir) == 0);
	MUST(fstatat(dir, "1", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == 12);
	/* It may add mail, not read it. */
	MUST(openat(dir, "1", O_RDONLY | O_CLOEXEC) == -1 && errno == EACCES);
	MUST((fd = openat(AT_FDCWD, "tmp/2", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) != -1);
	MUST(close(fd) == 0 && unlinkat(AT_FDCWD, "tmp/2", 0) == 0);
	return close(dir);
}

/* An mbox: dot lock, append, take back what could not be written. */
static int
job_mbox(void *arg)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	off_t end;
	int fd;

	(void)arg;
	MUST((fd = openat(AT_FDCWD, "lock.1", O_WRONLY | O_CREAT | O_EXCL, 0600)) != -1);
	MUST(linkat(AT_FDCWD, "lock.1", AT_FDCWD, "mbox.lock", 0) == 0 && close(fd) == 0);
	MUST((fd = openat(AT_FDCWD, "mbox", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600)) !=
	     -1);
	MUST(fcntl(fd, F_SETLK, &lock) == 0 && (end = lseek(fd, 0, SEEK_END)) == 0);
	MUST(write(fd, "From x\n", 7) == 7 && ftruncate(fd, end) == 0 && fdatasync(fd) == 0);
	MUST(close(fd) == 0 && unlinkat(AT_FDCWD, "mbox.lock", 0) == 0);
	return unlinkat(AT_FDCWD, "lock.1", 0);
}

/* The mailbox is made on the way in; what lies beside it is out of reach. */
static int
open_box(void *arg)
{
	(void)arg;
	return mkdir("box", 0700) == -1 ? -1 : open("box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
job_box(void *arg)
{
	int fd;

	(void)arg;
	MUST((fd = open("box/1", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) != -1);
	MUST(open("2", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) == -1 && errno == EACCES);
	MUST(renameat(AT_FDCWD, "box/1", AT_FDCWD, "1") == -1);
	return close(fd);
}

static void
test_mailbox_is_opened_on_entry(void **state)
{
	struct role_rights r;
	struct child_end end;
	int i;

	(void)state;
	for (i = 0; i < (getuid() == 0 ? 2 : 1); i++) {
		child_rights(&r, role_named("agent"), i == 1);
		r.open_dir = open_box;
		child_run(&r, job_box, NULL, &end);
		assert_true(end.entered && end.outcome == PROBE_SURVIVED);
	}
}

static void
test_mailbox(void **state)
{
	(void)state;
	works("agent", job_maildir, NULL);
	works("agent", job_mbox, NULL);
}

/* DNS: questions by UDP from random ports, answers that were too long by TCP. */

struct ports {
	uint16_t open;
	uint16_t closed; /* somebody listens, the role may not go there */
};

static int
job_dns_udp(void *arg)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct sockaddr_storage from;
	socklen_t len = sizeof(sin), fromlen = sizeof(from);
	int one = 1, size = 1 << 20, mtu = IP_PMTUDISC_DONT, a, b;
	char buf[16];

	(void)arg;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST((a = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) != -1);
	MUST((b = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP)) != -1);
	MUST(setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	MUST(setsockopt(a, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
	MUST(setsockopt(a, IPPROTO_IP, IP_MTU_DISCOVER, &mtu, sizeof(mtu)) == 0);
	MUST(bind(a, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(bind(b, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(fcntl(a, F_SETFL, fcntl(a, F_GETFL) | O_NONBLOCK) == 0);
	MUST(recvfrom(a, buf, sizeof(buf), 0, NULL, NULL) == -1 && errno == EAGAIN);
	/* No getsockname here: libunbound chooses the ports itself. */
	sin.sin_port = htons(53);
	MUST(connect(a, (struct sockaddr *)&sin, len) == 0);
	MUST(sendto(a, "?", 1, 0, NULL, 0) == 1);
	(void)recvfrom(a, buf, sizeof(buf), 0, (struct sockaddr *)&from, &fromlen);
	return close(a) + close(b);
}

static int
job_tcp_ports(void *arg)
{
	const struct ports *p = arg;
	socklen_t len = sizeof(int);
	int fd, one = 1, error;

	MUST((fd = connect_to_loopback(p->open)) != -1);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
	MUST(send(fd, "?", 1, MSG_NOSIGNAL) == 1 && close(fd) == 0);
	MUST(connect_to_loopback(p->closed) == -1 && errno == EACCES);
	return 0;
}

/* A source address may be bound, a known port not. */
static int
job_source_address(void *arg)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	(void)arg;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd != -1 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	return close(fd);
}

static void
test_sockets(void **state)
{
	static const char *const roles[] = {"lookup", "delivery"};
	struct role_rights r;
	struct child_end end;
	struct ports p;
	int open_fd = listen_on_loopback(&p.open), closed_fd = listen_on_loopback(&p.closed);
	size_t i;

	(void)state;
	works("lookup", job_dns_udp, NULL);
	works("delivery", job_source_address, NULL);
	for (i = 0; i < NITEMS(roles); i++) {
		child_rights(&r, role_named(roles[i]), false);
		r.connect_ports[0] = p.open;
		child_run(&r, job_tcp_ports, &p, &end);
		if (end.role.landlock_abi < 4)
			skip();
		assert_int_equal(end.outcome, PROBE_SURVIVED);
	}
	(void)close(open_fd);
	(void)close(closed_fd);
}

static int
job_read_fd(void *arg)
{
	int fd = *(int *)arg;
	struct stat st;
	char buf[8];

	MUST(fstat(fd, &st) == 0 && st.st_size == 5);
	MUST(lseek(fd, 0, SEEK_SET) == 0 && read(fd, buf, sizeof(buf)) == 5);
	MUST(stat("/etc/passwd", &st) == -1 && errno == ENOENT);
	return 0;
}

static void
test_read_fd(void **state)
{
	FILE *fp = tmpfile();
	int fd;

	(void)state;
	assert_non_null(fp);
	fd = fileno(fp);
	assert_int_equal(write(fd, "hello", 5), 5);
	works("lookup", job_read_fd, &fd);
	works("delivery", job_read_fd, &fd);
	(void)fclose(fp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_base),
	    cmocka_unit_test(test_abort_is_sigabrt),
	    cmocka_unit_test(test_file_limit_does_not_kill),
	    cmocka_unit_test_teardown(test_time_zone_survives, stay_here),
	    cmocka_unit_test(test_accept),
	    cmocka_unit_test(test_event_loop),
	    cmocka_unit_test(test_tls),
	    cmocka_unit_test(test_spool),
	    cmocka_unit_test(test_mailbox),
	    cmocka_unit_test(test_mailbox_is_opened_on_entry),
	    cmocka_unit_test(test_sockets),
	    cmocka_unit_test(test_read_fd),
	};

	(void)tls_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
