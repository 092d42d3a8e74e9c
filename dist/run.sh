#!/bin/sh
# SPDX-License-Identifier: ISC
# `make run`: the complete server in the foreground, on loopback, with all its
# state below ./run, where the mailbox's owner can reach it.  Ctrl-C ends it.
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
mail=$state/mail
mkdir -p "$state" "$mail"
chmod 755 "$state"
if [ "$(id -u)" -eq 0 ]; then
	# Where this directory is closed to others, as below /root, who owns the mail can't go there.
	setpriv --reuid "$vmail" --regid "$vmail" --clear-groups test -x "$state" ||
	    mail=$(mktemp -d /var/tmp/postern-run.XXXXXX)
	chown "$vmail:$vmail" "$mail"
fi
chmod 700 "$mail"

[ -e "$state/demo.key" ] || (
	umask 077
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
	    -addext subjectAltName=DNS:localhost,DNS:localhost.localdomain,IP:127.0.0.1 \
	    -keyout "$state/demo.key" -out "$state/demo.crt" 2>/dev/null
)

# The password is "demo": its hash, and its keys for SCRAM.
[ -e "$state/passwords" ] || (
	umask 077
	hash=$("$bin/smtpctl" encrypt demo)
	keys=$("$bin/smtpctl" encrypt -m scram-sha-256 demo)
	printf '%s\n' "demo@example.org $hash $keys" >"$state/passwords"
)

cat >"$state/smtpd.conf" <<CONF
# Written by \`make run\`, each time.
hostname "localhost.localdomain"
queue directory "$state/spool"
control socket "$state/smtpd.sock"

table users { "demo@example.org" = "vmail" }
table owners { "vmail" = "$vmail:$vmail:$mail" }
table passwords file:$state/passwords

pki demo cert "$state/demo.crt"
pki demo key "$state/demo.key"
smtp postmaster demo@example.org
listen on 127.0.0.1 port 2525 tls pki demo
listen on 127.0.0.1 port 2587 tls-require pki demo auth <passwords> tag submission
listen on 127.0.0.1 port 2465 smtps pki demo auth <passwords> tag submission

action "demo" maildir "$mail/%{dest.domain}/%{dest.user}" virtual <users> userbase <owners>
match from any for domain "example.org" action "demo"
CONF

cat <<TEXT
Postern on loopback: SMTP 2525; submission 2587 (STARTTLS) and 2465 (TLS) as
demo@example.org, password "demo".
  send   swaks --server 127.0.0.1:2525 --from you@example.net --to demo@example.org
         swaks --server 127.0.0.1:2587 --tls --auth --auth-user demo@example.org \\
             --auth-password demo --from demo@example.org --to demo@example.org
         curl --crlf smtp://127.0.0.1:2525 --mail-from you@example.net --mail-rcpt demo@example.org -T file
  read   $mail/example.org/demo/new/
  queue  $bin/smtpctl -s run/smtpd.sock show queue
  Ctrl-C ends it.
TEXT
# shellcheck disable=SC2086
exec "$bin/smtpd" -d $options -L "$bin" -f "$state/smtpd.conf"
