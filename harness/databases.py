"""A real PostgreSQL, and what stands in for MySQL, with a socket where Cloud Run mounts Cloud SQL's."""

import os
import pwd
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

from harness.waiting import DEADLINE_S, wait_for

INSTANCE = "demo-project:europe-west1:mlflow"
PASSWORD = "p@ss/w:rd%3F"  # noqa: S105  has all that a URI must encode
# Debian keeps several versions side by side; the newest one serves.
POSTGRES_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
LOGIN = Path(__file__).parents[1] / "localcloud/machine/mysql/login.py"


def as_user(name: str, *command: str) -> list[str]:
    """Returns the command as another user runs it; a database server refuses to run as root."""
    return (
        ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", *command] if os.getuid() == 0 else [*command]
    )


class Postgres:
    """PostgreSQL that listens on its socket only."""

    def __init__(self, folder: Path) -> None:
        self.sockets = folder / "cloudsql"
        self.data = folder / "data"
        self._count = 0
        for path in (self.data, self.sockets / INSTANCE):
            path.mkdir(parents=True)
            if os.getuid() == 0:
                shutil.chown(path, "postgres", "postgres")
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        options = ["--username=mlflow", f"--pwfile={password_file}", "--auth=scram-sha-256", "--no-sync"]
        self._run(str(POSTGRES_BIN / "initdb"), f"--pgdata={self.data}", *options)
        self.start()

    def _run(self, *command: str) -> None:
        subprocess.run(as_user("postgres", *command), check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.sockets / INSTANCE} -c fsync=off"
        log = self.data / "server.log"
        self._run(str(POSTGRES_BIN / "pg_ctl"), "start", "-w", f"-D{self.data}", f"-l{log}", f"-o{options}")

    def stop(self) -> None:
        """Stops the server at once; clients lose their connections."""
        self._run(str(POSTGRES_BIN / "pg_ctl"), "stop", "-w", f"-D{self.data}", "-mfast")

    def create(self, *, template: str = "template1") -> str:
        """Makes a database and returns its name."""
        self._count += 1
        name = f"mlflow_{self._count}"
        self.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        return name

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement and returns its rows, if it has any."""
        host = str(self.sockets / INSTANCE)
        connection = psycopg2.connect(host=host, user="mlflow", password=PASSWORD, dbname=database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def holding(self, statement: str, *, database: str, commit: bool = False) -> Generator[None]:
        """Keeps a transaction open that has run the statement, and takes it back at the end unless it is to commit."""
        host = str(self.sockets / INSTANCE)
        connection = psycopg2.connect(host=host, user="mlflow", password=PASSWORD, dbname=database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            yield
            if commit:
                connection.commit()
        finally:
            connection.close()

    def uri(self, database: str, *, sockets: str = "/cloudsql") -> str:
        """Returns BACKEND_STORE_URI as the stack's secret holds it."""
        return f"postgresql+psycopg2://mlflow:{quote(PASSWORD, safe='')}@/{database}?host={sockets}/{INSTANCE}"


@contextmanager
def most_connections(postgres: Postgres, database: str) -> Generator[list[int]]:
    """Counts the connections to a database while the block runs; the list's maximum is the most that were open."""
    counts = [0]
    stop = threading.Event()
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = 'client backend'"  # noqa: S608

    def sample() -> None:
        while not stop.wait(0.02):
            counts.append(int(str(postgres.execute(query)[0][0])))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()


class MySql:
    """Debian's MariaDB behind the login of MySQL 8.4, as in the local cloud.

    Args:
        folder: Where its files lie.
        secure: Whether it takes connections for secure, and wants passwords in clear.
    """

    def __init__(self, folder: Path, *, secure: bool = False) -> None:
        self.sockets, self.secure = folder / "cloudsql", secure
        self.sockets.mkdir(parents=True)
        if not shutil.which("mariadbd"):
            raise FileNotFoundError("mariadbd is missing: apt-get install mariadb-server (tools/setup.sh does)")
        user = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        data, self.socket, server = folder / "data", self.sockets / INSTANCE, folder / "data" / "server.sock"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, user, user)
        common = ["--no-defaults", f"--datadir={data}", f"--user={user}"]
        subprocess.run(["mariadb-install-db", *common], check=True, capture_output=True)
        command = ["mariadbd", *common, "--skip-networking", f"--socket={server}", "--innodb-flush-method=nosync"]
        self._log = folder / "log"
        with self._log.open("w") as log:
            self._server = subprocess.Popen(
                [sys.executable, LOGIN, *["--secure"] * secure, self.socket, server, *command], stderr=log
            )
        wait_for(self.socket.exists, "MySQL's socket")
        statements = f"CREATE DATABASE mlflow; GRANT ALL ON mlflow.* TO mlflow@localhost IDENTIFIED BY '{PASSWORD}'"
        self._server_socket = server
        self.execute(statements)

    def execute(self, statements: str, *, database: str = "mysql") -> list[tuple[str, ...]]:
        """Runs statements as the administrator, who logs in without the stand-in's login; returns their rows."""
        options = ["--batch", "--skip-column-names", f"--execute={statements}"]
        command = ["mariadb", f"--socket={self._server_socket}", *options, database]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def stop(self) -> None:
        """Ends the server."""
        self._server.terminate()
        self._server.wait(DEADLINE_S)

    def log(self) -> str:
        """Returns what it has said."""
        return self._log.read_text()

    def uri(self) -> str:
        """Returns BACKEND_STORE_URI as the stack's secret holds it for MySQL."""
        return f"mysql+pymysql://mlflow:{quote(PASSWORD, safe='')}@/mlflow?unix_socket=/cloudsql/{INSTANCE}"
