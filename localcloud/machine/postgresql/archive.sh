#!/bin/sh
# archive.sh PATH NAME: keeps a finished piece of the write-ahead log, whole or not at all.
# https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-ARCHIVING-WAL
set -eu
log=/var/lib/postgresql/log
test ! -e "$log/$2" || cmp -s "$1" "$log/$2"
cp "$1" "$log/$2.part"
sync "$log/$2.part"
mv "$log/$2.part" "$log/$2"
