#!/bin/sh
# restore.sh ID [TIME]: replaces the data by a backup; with a time (ISO 8601), brings them up to it from the log.
# /source holds the backups of the instance that it was taken from.
set -eu
umask 077

folder=/source/data/$1 new=$PGDATA.new home=/var/lib/postgresql
rm -rf "$new"
cp -a "$folder/data" "$new"
touch "$new/recovery.signal"
# Either way the data begin another timeline, which nothing that was archived before has.
recovery="-c recovery_target=immediate -c restore_command=/bin/false"
if [ $# -gt 1 ]; then
  log=/source/logs/$(basename "$(cat "$folder/log")")
  recovery="-c recovery_target_time=${2%Z}+00 -c restore_command='cp $log/%f %p'"
fi
# A server that takes no readers meanwhile may have fewer connections than the one that the data come from.
pg_ctl start --silent --wait --timeout=600 --pgdata="$new" --options="-c listen_addresses= -c unix_socket_directories=/tmp \
  -c hot_standby=off -c archive_mode=off -c recovery_target_action=promote $recovery"
until grep -q '^ready' "$new/postmaster.pid"; do # that is, the recovery has ended
  pg_ctl status --pgdata="$new" >/dev/null
  sleep 0.1
done
pg_ctl stop --silent --wait --mode=fast --pgdata="$new"
rm -rf "$PGDATA" "$home/log"
cp "$folder/pgpass" "$PGPASSFILE"
mv "$new" "$PGDATA"
