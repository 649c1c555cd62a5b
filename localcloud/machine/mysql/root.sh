#!/bin/sh
# Makes the superuser's password, unless there is one, and what sets it at each start.
set -eu
umask 077

home=/var/lib/mysql
if [ ! -f "$home/init.sql" ]; then
  # Even root needs a password: whoever has the socket, under whichever user id, has nothing more than that.
  password=$(od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n')
  printf '[client]\nuser=root\npassword=%s\nsocket=%s\n' "$password" "$home/server.sock" >"$home/client.cnf"
  # The other roots, of addresses at which nothing listens, have none. Other data have another root: nothing is logged.
  cat >"$home/init.sql.new" <<SQL
SET SESSION sql_log_bin = 0;
ALTER USER root@localhost IDENTIFIED BY '$password';
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
SQL
  mv "$home/init.sql.new" "$home/init.sql"
fi
