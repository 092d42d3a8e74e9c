#!/bin/sh
# SPDX-License-Identifier: ISC
# `make run`: the complete server in the foreground, on loopback, with all its
# state below ./run.  Ctrl-C ends it.
set -eu

cd "$(dirname "$0")/.."
top=$(pwd)
bin=${BIN:-build/bin}
state=$top/run
vmail=$(id -u)
options=
if [ "$vmail" -eq 0 ]; then
	# As root every role has a uid of its own, and the mailbox one more; none is in passwd.
	options="-U 64200"
	vmail=64290
fi

umask 022
mkdir -p "$state" "$state/mail"
chmod 755 "$state"
if [ "$(id -u)" -eq 0 ]; then
	chown "$vmail:$vmail" "$state/mail"
fi
chmod 700 "$state/mail"

# Nobody serves it yet: TLS is not built.
[ -e "$state/demo.key" ] || (
	umask 077
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
	    -keyout "$state/demo.key" -out "$state/demo.crt" 2>/dev/null
)

# The password is "demo".  Nothing asks for it before AUTH is built.
cat >"$state/smtpd.conf" <<CONF
# Written by \`make run\`, each time.
hostname "localhost.localdomain"
queue directory "$state/spool"
control socket "$state/smtpd.sock"

table users { "demo@example.org" = "vmail" }
table owners { "vmail" = "$vmail:$vmail:$state/mail" }
table passwords { "demo@example.org" = "\$6\$postern\$EkhB1Mufkhk3WnxQr.Mz0wSwGB2xFsVB4gMKLBByilIV1JLHRJ4f/McFsPv4LvCN3RkeigLormIuaY3l7CDkC." }

listen on 127.0.0.1 port 2525
pki demo cert "$state/demo.crt"
pki demo key "$state/demo.key"
listen on 127.0.0.1 port 2587 tls-require pki demo auth <passwords> tag submission
listen on 127.0.0.1 port 2465 smtps pki demo auth <passwords> tag submission

action "demo" maildir "$state/mail/%{dest.domain}/%{dest.user}" virtual <users> userbase <owners>
match from any for domain "example.org" action "demo"
CONF

cat <<TEXT
Postern on loopback: SMTP 2525; 2587 and 2465 refuse mail until TLS is built.
  send   swaks --server 127.0.0.1:2525 --from you@example.net --to demo@example.org
         curl smtp://127.0.0.1:2525 --mail-from you@example.net --mail-rcpt demo@example.org -T file
  read   $state/mail/example.org/demo/new/
  queue  $bin/smtpctl -s run/smtpd.sock show queue
  Ctrl-C ends it.
TEXT
# shellcheck disable=SC2086
exec "$bin/smtpd" -d $options -L "$bin" -f "$state/smtpd.conf"
