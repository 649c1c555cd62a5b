#!/bin/sh
# restore.sh ID [TIME]: replaces the data by a backup; with a time (ISO 8601), brings them up to it from the log.
# /source holds the backups of the instance that it was taken from.
set -eu
umask 077

folder=/source/data/$1 home=/var/lib/mysql
new=$home/data.new
/opt/root.sh
rm -rf "$new"
cp -a "$folder/data" "$new"
mariadb-backup --prepare --target-dir="$new"
if [ $# -gt 1 ]; then
  log=/source/logs/$(basename "$(cat "$folder/log")")
  # Name and position of the log when the backup ended: https://mariadb.com/kb/en/files-created-by-mariabackup/
  read -r first position _ <"$(ls "$new"/*_binlog_info)"
  pieces=$(find "$log" -name 'binlog.[0-9]*' | sort | sed -n "\\:/$(basename "$first")\$:,\$p")
  mariadbd --no-defaults --datadir="$new" --socket="$home/server.sock" --skip-networking --init-file="$home/init.sql" &
  server=$!
  tries=0
  until mariadb --defaults-file="$home/client.cnf" --execute='SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "the server does not answer for 60 s" >&2; exit 1; }
    sleep 0.1
  done
  # shellcheck disable=SC2086  # the names have no spaces; the position is one in the first of them
  mariadb-binlog --start-position="$position" --stop-datetime="${2%Z}" $pieces >"$home/replay.sql"
  # In one connection: the log may also change the superuser.
  { cat "$home/replay.sql" && echo '; SHUTDOWN;'; } | mariadb --defaults-file="$home/client.cnf"
  wait "$server"
  rm "$home/replay.sql"
fi
rm -rf "$home/data" "$home/log"
mv "$new" "$home/data"
