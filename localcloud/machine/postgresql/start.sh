#!/bin/sh
# Runs PostgreSQL on its socket only, with the arguments given; the first start makes its files. With $LOGINS, behind
# login.py.
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
if [ -z "$LOGINS" ]; then
  exec postgres -c listen_addresses= -c unix_socket_directories="$PGHOST" "$@"
fi
# Its processes have other numbers than those that a server that was killed has left here; no other one has the volume.
rm -f "$PGDATA/postmaster.pid"
mkdir -p "$home/socket"
chmod 700 "$home/socket"
exec /opt/login.py "$PGHOST" "$home/socket" \
  postgres -c listen_addresses= -c unix_socket_directories="$home/socket" -c hba_file=/opt/pg_hba.conf "$@"
