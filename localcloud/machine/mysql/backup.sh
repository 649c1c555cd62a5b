#!/bin/sh
# backup.sh take ID: copies the running server's data to /backups. backup.sh flush: the log there is complete up to now.
set -eu
umask 077

home=/var/lib/mysql
case $1 in
take)
  folder=/backups/data/$2
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  mariadb-backup --defaults-file="$home/client.cnf" --backup --target-dir="$folder.new/data"
  readlink "$home/log" >"$folder.new/log"
  mv "$folder.new" "$folder"
  ;;
flush)
  mariadb --defaults-file="$home/client.cnf" --execute='FLUSH BINARY LOGS'
  ;;
esac
