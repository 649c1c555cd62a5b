#!/bin/sh
# Runs PostgreSQL on its sockets only, with the arguments given; the first start makes its files. With $LOGINS, behind
# login.py; in a network with a further socket, for TLS.
set -eu

home=/var/lib/postgresql
if [ ! -d "$PGDATA" ]; then
  umask 077
  rm -rf "$PGDATA.new"
  # Even the superuser needs a password: whoever has the socket, under whichever user id, has nothing more than that.
  password=$(od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n')
  printf '*:*:*:*:%s\n' "$password" >"$PGPASSFILE"
  printf '%s\n' "$password" >"$PGPASSFILE.plain"
  initdb --pgdata="$PGDATA.new" --username="$PGUSER" --pwfile="$PGPASSFILE.plain" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 >&2
  rm "$PGPASSFILE.plain"
  mv "$PGDATA.new" "$PGDATA" # last: a start that was cut short begins again
fi
# Each history of the data has a folder of its own for its log: backups may outlive the data, and be put back.
if [ ! -L "$home/log" ]; then
  mkdir -p /backups/logs
  ln -sfn "$(mktemp -d /backups/logs/XXXXXXXX)" "$home/log"
fi
if [ -n "${SERVER_KEY:-}" ]; then
  (umask 077 && printf '%s' "$SERVER_KEY" >/tmp/key.pem)
  printf '%s' "$SERVER_CERTIFICATE" >/tmp/certificate.pem
  printf '%s' "$SERVER_CA" >/tmp/authority.pem
fi
if [ -n "$LOGINS" ]; then
  # Its processes have other numbers than those that a server that was killed has left here; no other one has the volume.
  rm -f "$PGDATA/postmaster.pid"
  mkdir -p "$home/socket"
  chmod 700 "$home/socket"
  [ -z "${SERVER_KEY:-}" ] || tls="--tls=/tmp"
  exec /opt/login.py ${tls:+"$tls"} "$PGHOST" "$home/socket" \
    postgres -c listen_addresses= -c unix_socket_directories="$home/socket" -c hba_file=/opt/pg_hba.conf "$@"
fi
listen=
# PostgreSQL does TLS on TCP alone: here on its own loopback, which nobody else sees.
if [ -n "${SERVER_KEY:-}" ]; then
  listen=127.0.0.1
  case $SSL_MODE in
    ENCRYPTED_ONLY) who='hostssl all all 127.0.0.1/32 scram-sha-256' ;;
    TRUSTED_CLIENT_CERTIFICATE_REQUIRED) who='hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca' ;;
    *) who='host all all 127.0.0.1/32 scram-sha-256' ;;
  esac
  printf 'local all all scram-sha-256\n%s\n' "$who" >/tmp/pg_hba.conf
  set -- -c hba_file=/tmp/pg_hba.conf -c ssl=on \
    -c ssl_key_file=/tmp/key.pem -c ssl_cert_file=/tmp/certificate.pem -c ssl_ca_file=/tmp/authority.pem "$@"
  socat "UNIX-LISTEN:$PGHOST/network,fork,mode=777,unlink-early" TCP:127.0.0.1:5432 &
fi
exec postgres -c listen_addresses="$listen" -c unix_socket_directories="$PGHOST" "$@"
