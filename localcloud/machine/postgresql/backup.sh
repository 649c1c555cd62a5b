#!/bin/sh
# backup.sh take ID: copies the running server's data to /backups. backup.sh flush: the log there is complete up to now.
set -eu
umask 077

case $1 in
take)
  folder=/backups/data/$2
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  pg_basebackup --no-password --pgdata="$folder.new/data" --checkpoint=fast --wal-method=stream
  # The superuser's password comes back with the data.
  cp "$PGPASSFILE" "$folder.new/pgpass"
  readlink /var/lib/postgresql/log >"$folder.new/log"
  mv "$folder.new" "$folder"
  ;;
flush)
  # A commit of now: recovery to a time ends at the first one that is later, and fails if there is none.
  psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --command='SELECT pg_current_xact_id()' >/dev/null
  piece=$(psql --no-psqlrc --no-password --quiet --tuples-only --no-align --command='SELECT pg_walfile_name(pg_switch_wal())')
  tries=0
  until [ -e "/var/lib/postgresql/log/$piece" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "the log's piece $piece is not archived after 60 s" >&2; exit 1; }
    sleep 0.1
  done
  ;;
esac
