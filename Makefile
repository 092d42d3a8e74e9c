# Postern.  `make run` and `make check` are all that a newcomer needs; see README.md.
#
# The object list of each program is the proof of what it can reach: a program
# contains its own folder and the libraries that it names here, nothing else.

VERSION =	0.1
PREFIX ?=	/usr/local
SYSCONFDIR ?=	/etc
MANDIR ?=	$(PREFIX)/share/man
SBINDIR =	$(PREFIX)/sbin
LIBEXECDIR =	$(PREFIX)/libexec/postern
DESTDIR ?=

CC ?=		cc
PKG_CONFIG ?=	pkg-config
BUILD ?=	build
PYTHON =	/usr/bin/python3

# -- what each program is made of ------------------------------------------

PROGRAMS =	smtpd smtpd-session smtpd-queue smtpd-lookup smtpd-delivery \
		smtpd-agent smtpd-control smtpd-vault smtpd-hasher \
		smtpd-table-postgres smtpd-fetch smtpctl

SERVICE =	service role ipc conf base

# LibreSSL's own libtls asks for signatures by a call of its own.
HAS_SIGN_CB :=	$(shell echo 'int tls_config_set_sign_cb(void); int main(void) { return tls_config_set_sign_cb(); }' | \
		$(CC) -x c -o /dev/null - $$($(PKG_CONFIG) --libs libtls 2>/dev/null) 2>/dev/null && echo yes)
KEYCLIENT_OPENSSL = lib/key/keyclient_openssl.c lib/key/keyclient_standin.c lib/net/tls_openssl.c
KEYCLIENT_LIBRESSL = lib/key/keyclient_libressl.c lib/net/tls_libressl.c
KEYCLIENT =	lib/key/keyclient.c lib/key/key_id.c \
		$(if $(HAS_SIGN_CB),$(KEYCLIENT_LIBRESSL),$(KEYCLIENT_OPENSSL))

TLS_CLIENT =	$(if $(HAS_SIGN_CB),lib/net/tls_client_libressl.c,lib/net/tls_client_openssl.c)

smtpd_SRC =		$(wildcard smtpd/*.c) lib/net/addr.c lib/role/watch.c
smtpd_LIB =		ipc conf role base
smtpd_PKG =		libevent_core libseccomp

smtpd-session_SRC =	$(wildcard session/*.c) lib/net/io.c lib/net/io_line.c lib/net/io_tls.c \
			lib/net/tls_server.c $(KEYCLIENT) lib/net/addr.c
smtpd-session_LIB =	mail $(SERVICE)
smtpd-session_PKG =	libevent_core libseccomp libtls libssl libcrypto

smtpd-queue_SRC =	$(wildcard queue/*.c)
smtpd-queue_LIB =	mail $(SERVICE)
smtpd-queue_PKG =	libevent_core libseccomp sqlite3

smtpd-lookup_SRC =	$(wildcard lookup/*.c) lib/net/addr.c lib/net/host.c
smtpd-lookup_LIB =	mail sqlite $(SERVICE)
smtpd-lookup_PKG =	libevent libseccomp libunbound sqlite3 libidn2

smtpd-delivery_SRC =	$(filter-out delivery/agent%.c,$(wildcard delivery/*.c)) \
			lib/net/io.c lib/net/io_line.c lib/net/io_tls.c lib/net/addr.c \
			lib/net/tls_client.c $(TLS_CLIENT)
smtpd-delivery_LIB =	mail $(SERVICE)
smtpd-delivery_PKG =	libevent_core libseccomp libtls libssl libcrypto libidn2

smtpd-agent_SRC =	$(wildcard delivery/agent*.c)
smtpd-agent_LIB =	mail $(SERVICE)
smtpd-agent_PKG =	libevent_core libseccomp

smtpd-vault_SRC =	$(filter-out vault/hasher%.c,$(wildcard vault/*.c)) lib/net/addr.c lib/net/host.c \
			lib/key/key_id.c
smtpd-vault_LIB =	secret mail $(SERVICE)
smtpd-vault_PKG =	libevent_core libseccomp libcrypto libcrypt jansson

smtpd-hasher_SRC =	$(wildcard vault/hasher*.c)
smtpd-hasher_LIB =	secret sqlite $(SERVICE)
smtpd-hasher_PKG =	libevent_core libseccomp libcrypto libcrypt sqlite3

smtpd-fetch_SRC =	$(wildcard fetch/*.c) lib/net/addr.c
smtpd-fetch_LIB =	$(SERVICE)
smtpd-fetch_PKG =	libevent_core libseccomp libcurl libssl

# A program for each kind of server that tables are in: the frame, and one back end.
TABLE =			table/main.c table/dispatch.c table/question.c
smtpd-table-postgres_SRC = $(TABLE) $(wildcard table/postgres*.c)
smtpd-table-postgres_LIB = $(SERVICE)
smtpd-table-postgres_PKG = libevent_core libseccomp libpq

SMTPCTL =		smtpctl.c show.c json.c command_table.c client.c
smtpd-control_SRC =	$(filter-out $(addprefix control/,$(SMTPCTL)) control/smtpctl_%.c,$(wildcard control/*.c))
smtpd-control_LIB =	$(SERVICE)
smtpd-control_PKG =	libevent_core libseccomp

smtpctl_SRC =		$(addprefix control/,$(SMTPCTL)) $(wildcard control/smtpctl_*.c) lib/net/addr.c lib/net/host.c
smtpctl_LIB =		secret ipc conf base
smtpctl_PKG =		libevent_core libcrypto libcrypt libcdb

LIBRARIES =	base ipc conf mail role secret service sqlite

# -- flags ------------------------------------------------------------------

STD =		-std=c11 -D_GNU_SOURCE -I.
WARNINGS =	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
		-Wmissing-prototypes -Wvla
WERROR ?=
# clang before 16 wants to be told twice.
AUTO_INIT :=	$(shell for f in "-ftrivial-auto-var-init=zero" "-ftrivial-auto-var-init=zero \
		-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang"; do \
		$(CC) -Werror $$f -x c -c -o /dev/null /dev/null 2>/dev/null && echo "$$f" && break; done)
HARDENING =	-fPIE -fstack-protector-strong -fstack-clash-protection \
		$(AUTO_INIT) -D_FORTIFY_SOURCE=3
ifneq ($(filter x86_64 i%86,$(shell uname -m)),)
HARDENING +=	-fcf-protection=full
endif
LINK_HARDENING = -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed
OPTIMIZE ?=	-O2 -g
PATHS =		-DVERSION='"$(VERSION)"' -DPATH_CONF='"$(SYSCONFDIR)/postern/smtpd.conf"' \
		-DPATH_LIBEXEC='"$(LIBEXECDIR)"' -DPATH_SOCKET='"/run/postern/smtpd.sock"'
EXTRA ?=
SANITIZE ?=
PKGS =		libtls libevent_core libseccomp libunbound sqlite3 libcrypt libidn2
ALL_CFLAGS =	$(STD) $(WARNINGS) $(WERROR) $(OPTIMIZE) $(if $(SANITIZE),$(SANITIZE),$(HARDENING)) \
		$(PATHS) $(EXTRA) $(CFLAGS)
ALL_LDFLAGS =	$(if $(SANITIZE),$(SANITIZE),$(LINK_HARDENING)) $(LDFLAGS)

# -- build ------------------------------------------------------------------

BINARIES =	$(addprefix $(BUILD)/bin/,$(PROGRAMS))

.PHONY: all run check asan lint fuzz bench install clean deps test-programs test-binaries fuzz-binaries
all: $(BINARIES)

objects =	$(patsubst %.c,$(BUILD)/obj/%.o,$(1))

define library
$(BUILD)/lib/lib$(1).a: $(call objects,$(wildcard lib/$(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call library,$(l))))

define program
$(BUILD)/bin/$(1): $(call objects,$($(1)_SRC)) $(foreach l,$($(1)_LIB),$(BUILD)/lib/lib$(l).a)
	@mkdir -p $$(@D)
	$(CC) $(ALL_LDFLAGS) -o $$@ $$^ $$(shell $(PKG_CONFIG) --libs $($(1)_PKG))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Debian has libpq's headers in a folder of their own.
$(BUILD)/obj/table/%.o: CFLAGS += $(shell $(PKG_CONFIG) --cflags libpq)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# The same server with test hooks, and with sanitizers, beside the release build.
test-programs:
	@$(MAKE) --no-print-directory BUILD=build-test EXTRA=-DTEST_HOOKS all

ASAN =		-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
asan:
	@$(MAKE) --no-print-directory BUILD=build-asan EXTRA=-DTEST_HOOKS \
	    SANITIZE="$(ASAN)" OPTIMIZE="-O1 -g" all test-binaries

# -- tests in C: cmocka and fuzz targets link the real objects ---------------
#
# Each folder without its main() is an archive, for the tests alone.

FOLDERS =	session queue lookup delivery control vault table fetch smtpd lib/net lib/key
MAINS =		%/main.c delivery/agent.c control/smtpctl.c vault/hasher.c \
		$(if $(HAS_SIGN_CB),$(KEYCLIENT_OPENSSL),$(KEYCLIENT_LIBRESSL)) \
		$(if $(HAS_SIGN_CB),lib/net/tls_client_openssl.c,lib/net/tls_client_libressl.c)
define folder
$(BUILD)/test/lib$(notdir $(1)).a: $(call objects,$(filter-out $(MAINS),$(wildcard $(1)/*.c)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(AR) rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))

TEST_LIBS =	$(foreach f,$(FOLDERS),$(BUILD)/test/lib$(notdir $(f)).a) \
		$(foreach l,$(LIBRARIES),$(BUILD)/lib/lib$(l).a)
TEST_PKGS =	cmocka libevent_core libseccomp sqlite3 libunbound libtls libssl libcrypto libcrypt libcdb libpq \
		libidn2 libcurl jansson
UNIT =		$(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
REPLAY =	$(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ =		$(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

test-binaries: $(UNIT) $(REPLAY)
fuzz-binaries: $(FUZZ)

TEST_LINK =	-Wl,--start-group $(TEST_LIBS) -Wl,--end-group \
		$(shell $(PKG_CONFIG) --libs $(TEST_PKGS)) -lm
$(UNIT): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(TEST_LINK)
$(REPLAY): $(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(BUILD)/obj/tests/fuzz/replay.o $(TEST_LINK)
$(FUZZ): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(TEST_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(TEST_LINK)
.SECONDARY:

# The manual page of the message table, made from the table; checked in, and compared by a test.
$(BUILD)/tools/postern-messages: $(BUILD)/obj/man/postern-messages.o $(BUILD)/lib/libipc.a $(BUILD)/lib/libbase.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^
messages-page: $(BUILD)/tools/postern-messages
	$< >man/postern-messages.7

# -- the rest -----------------------------------------------------------------

deps:
	@sh dist/install-deps.sh build

run:
	@sh dist/install-deps.sh build
	@$(MAKE) --no-print-directory all
	@sh dist/run.sh

check:
	@sh dist/install-deps.sh test
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory -j2 test-programs
	@$(MAKE) --no-print-directory -j2 asan
	@$(PYTHON) tests/run.py

lint:
	@sh dist/install-deps.sh test
	@$(PYTHON) tests/lint/lint.py

fuzz:
	@sh dist/install-deps.sh test
	@$(MAKE) --no-print-directory -j2 BUILD=build-fuzz EXTRA=-DTEST_HOOKS CC=clang \
	    SANITIZE="$(ASAN) -fsanitize=fuzzer-no-link" OPTIMIZE="-O1 -g" fuzz-binaries
	@$(PYTHON) tests/fuzz/run.py

$(BUILD)/tools/bench-tls: $(call objects,tests/bench/tls_client.c tests/bench/common.c) $(BUILD)/lib/libbase.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs libssl libcrypto)

$(BUILD)/tools/bench-client: $(call objects,tests/bench/client.c tests/bench/common.c) $(BUILD)/lib/libbase.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^

bench:
	@sh dist/install-deps.sh test
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/tools/bench-client $(BUILD)/tools/bench-tls
	@$(PYTHON) tests/bench/bench.py

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/postern
	install -m 755 $(BUILD)/bin/smtpd $(BUILD)/bin/smtpctl $(DESTDIR)$(SBINDIR)/
	ln -sf smtpctl $(DESTDIR)$(SBINDIR)/mailq
	install -m 755 $(filter-out %/smtpd %/smtpctl,$(BINARIES)) $(DESTDIR)$(LIBEXECDIR)/
	test -e $(DESTDIR)$(SYSCONFDIR)/postern/smtpd.conf || \
	    install -m 644 dist/smtpd.conf $(DESTDIR)$(SYSCONFDIR)/postern/smtpd.conf
	for s in 5 7 8; do \
	    install -d $(DESTDIR)$(MANDIR)/man$$s; \
	    install -m 644 man/*.$$s $(DESTDIR)$(MANDIR)/man$$s/; \
	done

clean:
	rm -rf build build-test build-asan build-fuzz
