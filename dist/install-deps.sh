#!/bin/sh
# SPDX-License-Identifier: ISC
# Installs the Debian packages that are missing to build (or, with "test", to
# test) Postern.  Says nothing and does nothing when all are there.
set -eu

build="gcc make pkg-config libc6-dev libtls-dev libssl-dev libevent-dev libseccomp-dev libunbound-dev
	libsqlite3-dev libcdb-dev libpq-dev libcrypt-dev libidn2-dev libcurl4-openssl-dev libjansson-dev dns-root-data ca-certificates openssl"
test="$build clang clang-format libclang-rt-14-dev libcmocka-dev python3 python3-pytest
	python3-pytest-xdist python3-cryptography python3-dnspython python3-aiosmtpd nsd knot testssl.sh gsasl swaks libnet-ssleay-perl msmtp s-nail mutt curl nodejs mandoc iproute2
	procps e2fsprogs xfsprogs tzdata sqlite3 tinycdb strace util-linux git"
# Some builds of nodejs bring npm along; Debian has it apart.
command -v npm >/dev/null || test="$test npm"

case "${1:-build}" in
build) want=$build ;;
test) want=$test ;;
*) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

missing=
for p in $want; do
	case "$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true)" in
	"install ok installed") ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

refuse() {
	echo "$1; please install:$missing" >&2
	exit 1
}

command -v apt-get >/dev/null || refuse "this is not a Debian machine"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || refuse "packages are missing, and there is no sudo"
	as_root=sudo
fi
echo "installing:$missing"
# A daemon that comes along as a test tool (nsd, knot) must not be started.
stub=$(mktemp -d)
trap 'rm -rf "$stub"' EXIT
printf '#!/bin/sh\nexit 101\n' >"$stub/policy-rc.d"
chmod 755 "$stub/policy-rc.d"
guard=
if [ ! -e /usr/sbin/policy-rc.d ]; then
	$as_root cp "$stub/policy-rc.d" /usr/sbin/policy-rc.d
	guard=yes
fi
status=0
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || true
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
	>"$stub/log" 2>&1 || status=$?
[ -z "$guard" ] || $as_root rm -f /usr/sbin/policy-rc.d
if [ "$status" -ne 0 ]; then
	tail -n 20 "$stub/log" >&2
	refuse "apt-get could not install them"
fi
