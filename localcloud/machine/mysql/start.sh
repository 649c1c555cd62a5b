#!/bin/sh
# Runs MariaDB, with the arguments given, behind login.py on $SOCKET; the first start makes its files.
set -eu
echo "MariaDB stands in for MySQL, which Debian does not have." >&2

home=/var/lib/mysql
/opt/root.sh
if [ ! -d "$home/data" ]; then
  umask 077
  rm -rf "$home/data.new"
  mariadb-install-db --no-defaults --datadir="$home/data.new" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >&2
  mv "$home/data.new" "$home/data" # last: a start that was cut short begins again
fi
# Each history of the data has a folder of its own for its log: backups may outlive the data, and be put back.
if [ ! -L "$home/log" ]; then
  mkdir -p /backups/logs
  ln -sfn "$(mktemp -d /backups/logs/XXXXXXXX)" "$home/log"
fi
# In a network it has another socket, for TLS, beside that one.
if [ -n "${SERVER_KEY:-}" ]; then
  (umask 077 && printf '%s' "$SERVER_KEY" >/tmp/key.pem)
  printf '%s' "$SERVER_CERTIFICATE" >/tmp/certificate.pem
  printf '%s' "$SERVER_CA" >/tmp/authority.pem
  tls="--tls=/tmp"
fi
# The init file runs before the first login.
exec /opt/login.py ${tls:+"$tls"} "$SOCKET" "$home/server.sock" \
  mariadbd --no-defaults --datadir="$home/data" --socket="$home/server.sock" --skip-networking \
  --init-file="$home/init.sql" "$@"
