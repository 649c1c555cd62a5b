"""In what PostgreSQL and MySQL differ, as servers of Cloud SQL instances.

A password is hashed here as the server would: in clear it never enters a container, an argument or a log.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from abc import ABC, abstractmethod
from base64 import b64encode
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from localcloud.terraform.model import Object, Problem, Refused, text

SOCKETS = "/cloudsql"
"""Where Cloud Run mounts instances: https://cloud.google.com/sql/docs/postgres/connect-run#connect"""

BACKUPS = "/backups"
"""Where a server's container has its backups and its log."""

LOGINS = "/run/logins"
"""Where a server's container has the socket at which tokens are checked."""

_SCRAM_ITERATIONS = 4096


class Dialect(ABC):
    """One kind of server.

    Attributes:
        name: That of its image's folder.
        home: Folder of its files in the container.
        sockets: Folder of its sockets in the container.
        port: Of a private address.
        connections: SQL that says how many clients each database has: a row a database, its name and a number.
        client: Reads SQL from its input and runs it as superuser; it ends at the first error.
    """

    name: ClassVar[str]
    home: ClassVar[str]
    sockets: ClassVar[str]
    port: ClassVar[int]
    client: ClassVar[tuple[str, ...]]
    connections: ClassVar[str]
    ready: ClassVar[str]

    @property
    def context(self) -> Path:
        """The folder of the image's Dockerfile."""
        return Path(__file__).parent / self.name

    @abstractmethod
    def options(self, tier: str, memory_mb: int, flags: dict[str, str], *, keeps_log: bool) -> list[str]:
        """Returns the server's arguments: as many connections as the tier has, and the instance's flags after that.

        Args:
            tier: The instance's tier.
            memory_mb: Its memory.
            flags: Its flags.
            keeps_log: Whether it is to be recovered to a point in time.
        """

    @abstractmethod
    def environment(self, connection_name: str) -> dict[str, str]:
        """Returns the variables of the server's container."""

    @abstractmethod
    def mount_path(self, connection_name: str) -> str:
        """Returns where a service's container has the folder of the socket."""

    @abstractmethod
    def create_database(self, name: str) -> str:
        """Returns SQL that makes a database, unless there is one."""

    @abstractmethod
    def drop_database(self, name: str) -> str:
        """Returns SQL that drops a database, if there is one."""

    @abstractmethod
    def set_password(self, user: str, password: str) -> str:
        """Returns SQL that makes a user, unless there is one, and sets the password."""

    @abstractmethod
    def create_account(self, name: str, password: str) -> str:
        """Returns SQL that makes the user of an account, unless there is one, with what the server wants of it."""

    @abstractmethod
    def drop_user(self, user: str) -> str:
        """Returns SQL that drops a user, if there is one."""


class PostgreSQL(Dialect):
    """Users are members of `cloudsqlsuperuser`, which owns the databases.

    So each may create in the schema `public`, as on https://cloud.google.com/sql/docs/postgres/users.
    """

    name = "postgresql"
    home = "/var/lib/postgresql"
    sockets = "/run/postgresql"
    port = 5432
    connections = (
        "SELECT datname, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
        "AND pid <> pg_backend_pid() GROUP BY datname;"
    )
    client = ("psql", "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")
    ready = """
        SELECT 'CREATE ROLE cloudsqlsuperuser CREATEDB CREATEROLE IN ROLE pg_monitor'
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloudsqlsuperuser') \\gexec
        SELECT 'CREATE ROLE cloudsqliamserviceaccount'
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloudsqliamserviceaccount') \\gexec
    """
    # https://cloud.google.com/sql/docs/postgres/flags#postgres-m
    _connections: ClassVar = {"db-f1-micro": 25, "db-g1-small": 50}
    _connections_by_memory: ClassVar = (
        (122_880, 1_000), (61_440, 800), (30_720, 600), (15_360, 500), (7_680, 400), (6_144, 200), (0, 100),
    )  # fmt: skip

    @override
    def options(self, tier: str, memory_mb: int, flags: dict[str, str], *, keeps_log: bool) -> list[str]:
        """A name that the server does not know ends its start, as Google refuses it; those with a dot pass."""
        connections = self._connections.get(tier) or next(
            count for memory, count in self._connections_by_memory if memory_mb >= memory
        )
        settings = {"max_connections": str(connections), "shared_buffers": f"{memory_mb // 4}MB"} | flags
        if keeps_log:
            settings |= {"archive_mode": "on", "archive_command": "/opt/archive.sh %p %f"}
        return [f"--{name}={value}" for name, value in settings.items()]

    def environment(self, connection_name: str) -> dict[str, str]:
        """Nothing: the image sets all that PostgreSQL needs."""
        del connection_name
        return {}

    def mount_path(self, connection_name: str) -> str:
        """The folder holds `.s.PGSQL.5432`."""
        return f"{SOCKETS}/{connection_name}"

    def create_database(self, name: str) -> str:
        """PostgreSQL has no IF NOT EXISTS here; gexec of psql runs what a query returns."""
        statement = f"CREATE DATABASE {_identifier(name)} OWNER cloudsqlsuperuser"
        missing = f"NOT EXISTS (SELECT FROM pg_database WHERE datname = {_literal(name)})"
        return f"SELECT {_literal(statement)} WHERE {missing} \\gexec\n"

    def drop_database(self, name: str) -> str:
        """PostgreSQL refuses while a client is connected."""
        return f"DROP DATABASE IF EXISTS {_identifier(name)};"

    def set_password(self, user: str, password: str) -> str:
        """The verifier goes in place of the password: https://www.postgresql.org/docs/current/sql-createrole.html."""
        statement = f"CREATE ROLE {_identifier(user)} LOGIN CREATEDB CREATEROLE IN ROLE cloudsqlsuperuser"
        missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(user)})"
        verifier = _literal(scram_verifier(password, os.urandom(16)))
        return (
            f"SELECT {_literal(statement)} WHERE {missing} \\gexec\nALTER ROLE {_identifier(user)} PASSWORD {verifier};"
        )

    def create_account(self, name: str, password: str) -> str:
        """Only the role tells the server that it is one: login.py has seen the token."""
        del password
        statement = f"CREATE ROLE {_identifier(name)} LOGIN IN ROLE cloudsqliamserviceaccount"
        missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(name)})"
        return f"SELECT {_literal(statement)} WHERE {missing} \\gexec\n"

    def drop_user(self, user: str) -> str:
        """PostgreSQL refuses while the user owns something."""
        return f"DROP ROLE IF EXISTS {_identifier(user)};"


class MySQL(Dialect):
    """MariaDB in its place, behind MySQL's login (mysql/login.py). A user may do everything in every database.

    Cloud Run has the socket itself under the connection name. A file that a server makes again at each start cannot be
    mounted, so its folder is, and it is all of /cloudsql: such a service has one instance.
    """

    name = "mysql"
    home = "/var/lib/mysql"
    sockets = "/run/mysqld"
    port = 3306
    connections = (
        "SELECT IFNULL(db, ''), COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() GROUP BY db;"
    )
    client = ("mariadb", f"--defaults-file={home}/client.cnf", "--batch")
    ready = "SELECT 1;"
    # https://cloud.google.com/sql/docs/mysql/quotas#maximum_concurrent_connections
    _connections: ClassVar = {"db-f1-micro": 250, "db-g1-small": 1_000}

    @override
    def options(self, tier: str, memory_mb: int, flags: dict[str, str], *, keeps_log: bool) -> list[str]:
        """`loose` because MariaDB does not have some of MySQL's: https://mariadb.com/kb/en/mariadbd-options/."""
        connections = self._connections.get(tier, 4_000)
        settings = {
            "max_connections": str(connections),
            "innodb_buffer_pool_size": f"{memory_mb // 4}M",
            # MySQL has no such isolation, under which concurrent writes of a row are refused:
            # https://mariadb.com/kb/en/innodb-system-variables/#innodb_snapshot_isolation
            "innodb_snapshot_isolation": "OFF",
        } | flags
        if keeps_log:
            settings |= {"log_bin": f"{self.home}/log/binlog", "server_id": "1", "binlog_format": "ROW"}
        return [f"--loose-{name}={value}" for name, value in settings.items()]

    def environment(self, connection_name: str) -> dict[str, str]:
        """Where clients reach it."""
        return {"SOCKET": f"{self.sockets}/{connection_name}"}

    def mount_path(self, connection_name: str) -> str:
        """The folder holds the socket, which is named like the instance."""
        del connection_name
        return SOCKETS

    def create_database(self, name: str) -> str:
        """With the server's character set, utf8mb4."""
        return f"CREATE DATABASE IF NOT EXISTS {_backticks(name)};"

    def drop_database(self, name: str) -> str:
        """Clients that are connected lose it."""
        return f"DROP DATABASE IF EXISTS {_backticks(name)};"

    def set_password(self, user: str, password: str) -> str:
        """The hash goes in place of the password: https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/."""
        return f"{self.create_account(user, password)} GRANT ALL ON `%`.* TO {self._account(user)} WITH GRANT OPTION;"

    def create_account(self, name: str, password: str) -> str:
        """It may do nothing, as on Google."""
        account = self._account(name)
        digest = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324  MySQL's choice
        return (
            f"CREATE USER IF NOT EXISTS {account};"
            f"ALTER USER {account} IDENTIFIED VIA mysql_native_password USING '*{digest}';"
        )

    def drop_user(self, user: str) -> str:
        """Drops the user and keeps everything that it made."""
        return f"DROP USER IF EXISTS {self._account(user)};"

    def _account(self, user: str) -> str:
        return _literal(user.replace("\\", "\\\\")) + "@'%'"


DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (PostgreSQL(), MySQL())}
"""By their names."""


def dialect_of(instance: Object) -> Dialect:
    """The dialect of a google_sql_database_instance.

    Raises:
        Refused: There is none for its version.
    """
    version = text(instance, "database_version")
    prefix = version.partition("_")[0].replace("POSTGRES", "POSTGRESQL").lower()
    if prefix not in DIALECTS:
        detail = "The local cloud has PostgreSQL (POSTGRES_...) and MySQL (MYSQL_...)."
        raise Refused(Problem(f"no server for database version {version}", detail, ("database_version",)))
    return DIALECTS[prefix]


def scram_verifier(password: str, salt: bytes) -> str:
    """Returns what PostgreSQL stores of a password: https://www.rfc-editor.org/rfc/rfc5802#section-3."""
    # SASLprep, as far as it concerns what can be typed: https://www.rfc-editor.org/rfc/rfc4013#section-2.2
    normal = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", normal, salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded_salt, *keys = (b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{encoded_salt}${':'.join(keys)}"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _backticks(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
