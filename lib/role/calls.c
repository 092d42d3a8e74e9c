/* SPDX-License-Identifier: ISC */
/*
 * The rights, in system calls: what a reader audits.  It is data only;
 * seccomp.c turns it into a filter.  Every row gives its reason.  Calls that
 * libraries only try, and live without, are answered with an error, so that
 * they need not be allowed: an error is as good as a wall.
 *
 * The event base is made before the role is entered, links talk by recvmsg and
 * sendmsg, accept4 makes non-blocking sockets, signals are ignored: nobody needs
 * epoll_create1, fcntl on a socket it was given, or rt_sigreturn afterwards.
 */
#include "lib/role/calls.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>

#include "lib/base/bug.h"
#include "lib/role/role.h"

#define INT_MASK  0xffffffffU
#define TYPE_MASK 0xfU /* of socket(2)'s type, without SOCK_CLOEXEC and SOCK_NONBLOCK */

/* clang-format off */
#define TEST(...) .tests = { __VA_ARGS__ }
#define IS(arg, value)		{ ARG_MASKED, (arg), INT_MASK, (uint32_t)(value) }
#define HAS(arg, bits)		{ ARG_MASKED, (arg), (uint32_t)(bits), (uint32_t)(bits) }
#define LACKS(arg, bits)	{ ARG_MASKED, (arg), (uint32_t)(bits), 0 }
#define UNDER(arg, m, value)	{ ARG_MASKED, (arg), (m), (uint32_t)(value) }
#define SELF(arg)		{ ARG_SELF, (arg), INT_MASK, 0 }
/* clang-format on */

/* Which call a C library makes of its wrapper differs by machine and age. */
#ifdef __x86_64__
#define CALL_EPOLL_WAIT "epoll_wait"
#define CALL_POLL	"poll"
#define TEST_POLL	TEST(IS(1, 1), IS(2, 0))
#define CALL_UNLINK	"unlink"
#else
#define CALL_EPOLL_WAIT "epoll_pwait"
#define CALL_POLL	"ppoll"
#define TEST_POLL	TEST(IS(1, 1))
#define CALL_UNLINK	"unlinkat"
#endif
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 39)
#define CALL_FSTAT     "newfstatat" /* fstat(fd) is newfstatat(fd, "", AT_EMPTY_PATH) */
#define TEST_FSTAT     TEST(HAS(3, AT_EMPTY_PATH))
#define TEST_NOT_FSTAT TEST(LACKS(3, AT_EMPTY_PATH))
#else
#define CALL_FSTAT     "fstat"
#define TEST_FSTAT     TEST({ARG_END, 0, 0, 0})
#define TEST_NOT_FSTAT TEST({ARG_END, 0, 0, 0})
#endif

#define STREAMS (RIGHT_ACCEPT | RIGHT_CONNECT | RIGHT_CONNECT_UNIX | RIGHT_DNS)
#define CLIENT	(RIGHT_CONNECT | RIGHT_CONNECT_UNIX)
#define FILES	(RIGHT_SPOOL | RIGHT_MAILBOX)
#define ALL	(RIGHT_BASE | RIGHT_CORE)

/*
 * MSG_FASTOPEN connects without asking Landlock, on kernels that have not
 * learned better; hence the test on every call that could carry it.
 */
/* clang-format off */
const struct call_row call_rows[] = {
/* name, rights, unless, error, why, tests */

/* RIGHT_CORE, and RIGHT_BASE with it: the event loop, the links, memory, an orderly end */
{ "recvmsg", ALL, 0, 0, "links, with descriptors", {{0}} },
{ "sendmsg", ALL, 0, 0, "links; its control data can't be seen from here",
    TEST(LACKS(2, MSG_FASTOPEN)) },
{ CALL_EPOLL_WAIT, ALL, 0, 0, "event loop", {{0}} },
{ "epoll_ctl", ALL, 0, 0, "event loop", {{0}} },
{ "close", ALL, 0, 0, "every descriptor's end", {{0}} },
{ "brk", ALL, 0, 0, "malloc", {{0}} },
{ "mmap", ALL, 0, 0, "malloc of large blocks: anonymous and never executable",
    TEST(LACKS(2, PROT_EXEC), HAS(3, MAP_ANONYMOUS)) },
{ "munmap", ALL, 0, 0, "free of large blocks", {{0}} },
{ "getpid", ALL, 0, 0, "OpenSSL's fork check, abort()", {{0}} },
{ "getrandom", ALL, 0, 0, "OpenSSL seeds again after an hour", {{0}} },
{ "futex", ALL, 0, 0, "OpenSSL's once-only starts; exit()", {{0}} },
{ "exit_group", ALL, 0, 0, "the end", {{0}} },

/* RIGHT_BASE alone */
{ "write", RIGHT_BASE | RIGHT_SANITIZER, 0, 0, "files; last words on stderr", {{0}} },
{ "clock_gettime", RIGHT_BASE, 0, 0, "where the vDSO has no clock to read", {{0}} },
{ "gettimeofday", RIGHT_BASE, 0, 0, "where the vDSO has no clock to read", {{0}} },
{ "gettid", RIGHT_BASE, 0, 0, "abort()", {{0}} },
{ "tgkill", RIGHT_BASE, 0, 0, "abort(): a defect is seen as SIGABRT, not as an attack",
    TEST(SELF(0), IS(2, SIGABRT)) },

/* RIGHT_CORE, in place of those: a defect ends it by the trap that is abort()'s last resort */
{ "write", RIGHT_CORE, RIGHT_BASE | RIGHT_SANITIZER, EBADF, "last words on stderr", {{0}} },
{ "clock_gettime", RIGHT_CORE, RIGHT_BASE, EPERM, "the vDSO has a clock, which is proved on entry",
    {{0}} },
{ "gettimeofday", RIGHT_CORE, RIGHT_BASE, EPERM, "the same", {{0}} },
{ "gettid", RIGHT_CORE, RIGHT_BASE, EPERM, "abort()", {{0}} },
{ "tgkill", RIGHT_CORE, RIGHT_BASE, EPERM, "abort()", TEST(SELF(0), IS(2, SIGABRT)) },
{ "rt_sigaction", RIGHT_CORE, RIGHT_BASE | RIGHT_SANITIZER, EPERM, "abort()", {{0}} },

/* what libraries try, whoever calls them */
{ "mremap", ALL, 0, ENOMEM, "realloc of large blocks; it copies instead", {{0}} },
{ "rt_sigprocmask", ALL, 0, EPERM, "abort() unblocks its signal first; it never is blocked",
    {{0}} },
{ "writev", ALL, RIGHT_DNS, EPERM, "the C library's last words before abort()", {{0}} },
{ "ioctl", ALL, 0, ENOTTY, "isatty(), of standard input and output",
    {{0}} },
{ "openat", ALL, FILES, ENOENT, "time zone, OpenSSL, locale: looked for, not needed",
    {{0}} },
{ "newfstatat", ALL, FILES | RIGHT_READ_FD, ENOENT, "as openat", {{0}} },
{ "sysinfo", ALL, 0, ENOSYS, "qsort() asks for the size of memory to pick its way",
    {{0}} },

/* RIGHT_ACCEPT: clients */
{ "accept4", RIGHT_ACCEPT, 0, 0, "clients", {{0}} },
{ "getsockname", RIGHT_ACCEPT | RIGHT_CONNECT, 0, 0, "which of our addresses it is", {{0}} },
{ "getsockopt", RIGHT_ACCEPT, 0, 0, "a socket's error; the credentials of a local peer",
    TEST(IS(1, SOL_SOCKET)) },
{ "recvfrom", STREAMS, 0, 0, "clients, servers, answers", {{0}} },
{ "sendto", STREAMS, 0, 0, "the same", TEST(LACKS(3, MSG_FASTOPEN)) },

/* RIGHT_TLS: what it needs beyond RIGHT_BASE is its end; octets come and go by callbacks */
{ "shutdown", RIGHT_TLS | CLIENT, 0, 0, "half-close, lest a reset eat the last reply", {{0}} },

/* RIGHT_DNS and RIGHT_CONNECT: sockets of its own; ports are Landlock's business */
{ "socket", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "TCP over IPv4 (no MPTCP, no SCTP)",
    TEST(IS(0, AF_INET), UNDER(1, TYPE_MASK, SOCK_STREAM), IS(2, 0)) },
{ "socket", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "the same, protocol named",
    TEST(IS(0, AF_INET), UNDER(1, TYPE_MASK, SOCK_STREAM), IS(2, IPPROTO_TCP)) },
{ "socket", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "TCP over IPv6",
    TEST(IS(0, AF_INET6), UNDER(1, TYPE_MASK, SOCK_STREAM), IS(2, 0)) },
{ "socket", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "the same, protocol named",
    TEST(IS(0, AF_INET6), UNDER(1, TYPE_MASK, SOCK_STREAM), IS(2, IPPROTO_TCP)) },
{ "socket", RIGHT_DNS, 0, 0, "a question, over IPv4",
    TEST(IS(0, AF_INET), UNDER(1, TYPE_MASK, SOCK_DGRAM), IS(2, 0)) },
{ "socket", RIGHT_DNS, 0, 0, "the same, protocol named",
    TEST(IS(0, AF_INET), UNDER(1, TYPE_MASK, SOCK_DGRAM), IS(2, IPPROTO_UDP)) },
{ "socket", RIGHT_DNS, 0, 0, "a question, over IPv6",
    TEST(IS(0, AF_INET6), UNDER(1, TYPE_MASK, SOCK_DGRAM), IS(2, 0)) },
{ "socket", RIGHT_DNS, 0, 0, "the same, protocol named",
    TEST(IS(0, AF_INET6), UNDER(1, TYPE_MASK, SOCK_DGRAM), IS(2, IPPROTO_UDP)) },
{ "socket", RIGHT_CONNECT_UNIX, 0, 0, "LMTP over a Unix socket",
    TEST(IS(0, AF_UNIX), UNDER(1, TYPE_MASK, SOCK_STREAM), IS(2, 0)) },
{ "bind", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "a random source port; a source address", {{0}} },
{ "connect", RIGHT_DNS | CLIENT, 0, 0, "servers", {{0}} },
{ "getsockopt", RIGHT_DNS | CLIENT, 0, 0, "how a connect ended", TEST(IS(1, SOL_SOCKET)) },
{ CALL_POLL, RIGHT_CONNECT, RIGHT_TLS, 0,
    "libpq and libcurl look whether a server has hung up; never waits", TEST_POLL },
{ "getpeername", RIGHT_CONNECT, RIGHT_TLS, 0, "libcurl notes whom it is connected to", {{0}} },
{ "fcntl", RIGHT_DNS | CLIENT, 0, 0, "non-blocking, close-on-exec: read them",
    TEST(IS(1, F_GETFL)) },
{ "fcntl", RIGHT_DNS | CLIENT, 0, 0, "and set them", TEST(IS(1, F_SETFL)) },
{ "fcntl", RIGHT_DNS | CLIENT, 0, 0, "and set them", TEST(IS(1, F_SETFD)) },
{ "sendmsg", RIGHT_DNS, 0, EPIPE, "libunbound tries TCP Fast Open first, then connects",
    TEST(HAS(2, MSG_FASTOPEN)) },
{ "writev", RIGHT_DNS, 0, 0, "libunbound over TCP", {{0}} },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "buffers, reuse, keep-alive",
    TEST(IS(1, SOL_SOCKET), IS(2, SO_REUSEADDR)) },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "keep-alive of a long transfer",
    TEST(IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "room for many answers",
    TEST(IS(1, SOL_SOCKET), IS(2, SO_RCVBUF)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "room for many questions",
    TEST(IS(1, SOL_SOCKET), IS(2, SO_SNDBUF)) },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "commands leave at once",
    TEST(IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)) },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "a dead peer is noticed",
    TEST(IS(1, IPPROTO_TCP), IS(2, TCP_USER_TIMEOUT)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "segments that fit",
    TEST(IS(1, IPPROTO_TCP), IS(2, TCP_MAXSEG)) },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "a source address without a port",
    TEST(IS(1, IPPROTO_IP), IS(2, IP_BIND_ADDRESS_NO_PORT)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "no fragments, which can be forged",
    TEST(IS(1, IPPROTO_IP), IS(2, IP_MTU_DISCOVER)) },
{ "setsockopt", RIGHT_DNS | RIGHT_CONNECT, 0, 0, "one family a socket",
    TEST(IS(1, IPPROTO_IPV6), IS(2, IPV6_V6ONLY)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "answers that fit",
    TEST(IS(1, IPPROTO_IPV6), IS(2, IPV6_MTU)) },
{ "setsockopt", RIGHT_DNS, 0, 0, "no fragments, which can be forged",
    TEST(IS(1, IPPROTO_IPV6), IS(2, IPV6_MTU_DISCOVER)) },

/* RIGHT_READ_FD: files it was handed */
{ "read", RIGHT_READ_FD, 0, 0, "files", {{0}} },
{ CALL_FSTAT, RIGHT_READ_FD, FILES, 0, "is it a file, and how long", TEST_FSTAT },
{ "newfstatat", RIGHT_READ_FD, FILES, ENOENT, "paths stay unseen", TEST_NOT_FSTAT },
{ "lseek", RIGHT_READ_FD | RIGHT_MAILBOX, 0, 0, "from the start again; an mbox's end", {{0}} },

/* RIGHT_READ_DB: SQLite, of a database that it was handed and can't write to */
{ "pread64", RIGHT_SPOOL | RIGHT_READ_DB, 0, 0, "pages", {{0}} },
{ "fcntl", FILES | RIGHT_READ_DB, 0, 0, "locks: ask", TEST(IS(1, F_GETLK)) },
{ "fcntl", FILES | RIGHT_READ_DB, 0, 0, "locks: take and release", TEST(IS(1, F_SETLK)) },

/* RIGHT_SPOOL: what SQLite does with exclusive locking and a write-ahead log */
{ "openat", FILES, 0, 0, "files below its directory; the rest is Landlock's to refuse", {{0}} },
{ "newfstatat", FILES, 0, 0, "sizes, presence", {{0}} },
{ "pwrite64", RIGHT_SPOOL, 0, 0, "pages", {{0}} },
{ "fdatasync", FILES, 0, 0, "durability, of files and directories", {{0}} },
{ "ftruncate", FILES, 0, 0, "the log's end; an mbox after a failed write", {{0}} },
{ CALL_UNLINK, RIGHT_SPOOL, 0, 0, "journals", {{0}} },
{ "fstatfs", FILES, 0, 0, "room left", {{0}} },
{ "geteuid", RIGHT_SPOOL, 0, EPERM, "root would chown new files; whoever else asks isn't root",
    {{0}} },

/* RIGHT_MAILBOX: Maildir and mbox, by names relative to the mailbox */
{ "openat2", RIGHT_MAILBOX, 0, 0, "no symbolic links, nothing above", {{0}} },
{ "mkdirat", RIGHT_MAILBOX, 0, 0, "a new Maildir", {{0}} },
{ "renameat", RIGHT_MAILBOX, 0, 0, "tmp to new", {{0}} },
{ "renameat2", RIGHT_MAILBOX, 0, 0, "the same, never over another message", {{0}} },
{ "linkat", RIGHT_MAILBOX, 0, 0, "a dot lock", {{0}} },
{ "unlinkat", RIGHT_MAILBOX, 0, 0, "what a failed delivery left in tmp", {{0}} },
{ "fsync", FILES, 0, 0, "a file's length and its directory's entry", {{0}} },
{ "getdents64", RIGHT_MAILBOX, 0, 0, "old files in tmp", {{0}} },

/* RIGHT_SANITIZER: the run-time of sanitizer builds, never in a release */
{ "sigaltstack", RIGHT_SANITIZER, 0, 0, "threads' ends", {{0}} },
{ "madvise", RIGHT_SANITIZER, 0, 0, "shadow memory", {{0}} },
{ "mprotect", RIGHT_SANITIZER, 0, 0, "shadow memory", TEST(LACKS(2, PROT_EXEC)) },
{ "rt_sigaction", RIGHT_SANITIZER, 0, 0, "reports", {{0}} },
{ "sched_yield", RIGHT_SANITIZER, 0, 0, "spin locks", {{0}} },
{ "prlimit64", RIGHT_SANITIZER, 0, EPERM, "reports", {{0}} },
{ "readlink", RIGHT_SANITIZER, 0, ENOENT, "reports", {{0}} },
{ "open", RIGHT_SANITIZER, 0, ENOENT, "reports", {{0}} },
{ "stat", RIGHT_SANITIZER, 0, ENOENT, "reports: no program that would name lines", {{0}} },
{ "read", RIGHT_SANITIZER, 0, 0, "reports", {{0}} },
};
/* clang-format on */

const size_t call_rows_count = NITEMS(call_rows);

unsigned int
call_rights(unsigned int rights)
{
#ifdef ROLE_SANITIZED
	return rights | RIGHT_SANITIZER;
#else
	return rights;
#endif
}
