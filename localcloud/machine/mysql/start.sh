#!/bin/sh
# Runs MariaDB, with the arguments given, behind login.py on $SOCKET; the first start makes its files.
set -eu
echo "MariaDB stands in for MySQL, which Debian lacks." >&2

home=/var/lib/mysql
if [ ! -d "$home/data" ]; then
  umask 077
  rm -rf "$home/data.new"
  # Even root needs a password: whoever has the socket, under whichever user id, has nothing more than that.
  password=$(od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n')
  printf '[client]\nuser=root\npassword=%s\nsocket=%s\n' "$password" "$home/server.sock" >"$home/client.cnf"
  # The other roots, of addresses at which nothing listens, have none.
  cat >"$home/init.sql" <<SQL
ALTER USER root@localhost IDENTIFIED BY '$password';
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
SQL
  mariadb-install-db --no-defaults --datadir="$home/data.new" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >&2
  mv "$home/data.new" "$home/data" # last: a start that was cut short begins anew
fi
# The init file runs before the first login.
exec /opt/login.py "$SOCKET" "$home/server.sock" \
  mariadbd --no-defaults --datadir="$home/data" --socket="$home/server.sock" --skip-networking \
  --init-file="$home/init.sql" "$@"
