"""A local cloud's database servers, and as their client a container of the service's kind.

That is: the image, uid 10001, a read-only root, and the socket of the one instance that it names.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from containers import images
from containers.container import Container, ContainerSpec
from localcloud.machine.database import DatabaseServers
from localcloud.resource import Cloud
from localcloud.services import sql_certificates
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from containers.engine import Engine
    from localcloud.services.sql_certificates import Identity
    from localcloud.terraform.model import Object

PROJECT = "acme-ml-dev"
PASSWORD = "p@ss'w\\:rd%3F"  # noqa: S105  has all that SQL and a URI must encode
# One line per statement: its first row, or what the server said. MySQL is logged in to as the image does it.
CLIENT = """
import os, sqlalchemy, sys
from mlflow_cloudrun import mysql_login
mysql_login.install()
try:
    with sqlalchemy.create_engine(os.environ["BACKEND_STORE_URI"]).connect() as connection:
        for statement in sys.argv[1:]:
            result = connection.execute(sqlalchemy.text(statement))
            print(*(result.first() if result.returns_rows else ()))
        connection.commit()
except sqlalchemy.exc.DBAPIError as error:
    sys.exit(str(error.orig))
"""
PYTHON = "/opt/mlflow/bin/python"


def connection_name(name: str) -> str:
    return f"{PROJECT}:europe-west1:{name}"


def instance(
    name: str, *, version: str = "POSTGRES_17", tier: str = "db-f1-micro", flags: Sequence[Object] = ()
) -> Object:
    return {
        "project": PROJECT,
        "name": name,
        "connection_name": connection_name(name),
        "database_version": version,
        "settings": [{"tier": tier, "database_flags": list(flags)}],
    }


def part(name: str, of: str) -> Object:
    """A database or a user of an instance."""
    return {"project": PROJECT, "instance": of, "name": name}


def uri(name: str, *, user: str = "mlflow", password: str = PASSWORD, kind: str = "") -> str:
    login = f"{user}:{quote(password, safe='')}"
    if (kind or name) == "mysql":
        return f"mysql+pymysql://{login}@/mlflow?unix_socket=/cloudsql/{connection_name(name)}"
    return f"postgresql+psycopg2://{login}@/mlflow?host=/cloudsql/{connection_name(name)}"


class Local:
    """Servers of one local cloud, and containers that use them."""

    def __init__(self, engine: Engine, logins: Path | None = None) -> None:
        self.engine = engine
        self.label = f"test-{secrets.token_hex(4)}"
        self._folder = tempfile.TemporaryDirectory()
        self.cloud = Cloud(Store(Path(self._folder.name) / "cloud"))
        self.servers = DatabaseServers(engine, label=self.label, identity=self.identity, logins=logins)
        self.image = images.build(engine)
        self.instances: list[Object] = []

    def identity(self, described: Object) -> Identity:
        return sql_certificates.identity(self.cloud, described)

    def run(self, described: Object) -> None:
        self.instances.append(described)
        self.servers.run(described)

    def server(self, name: str) -> Container:
        found = self.engine.container(f"{self.label}-sql-{PROJECT}.{name}")
        assert found
        return found

    def fill(self, name: str) -> None:
        """Makes the stack's database and user."""
        self.servers.create_database(part("mlflow", name))
        self.servers.set_password(part("mlflow", name), PASSWORD)

    def client(  # noqa: PLR0913 - each says how another kind of client is
        self,
        address: str,
        *command: str,
        entrypoint: str = "",
        user: str = "",
        sees: str = "main",
        more: Mapping[str, str] | None = None,
        helpers: Sequence[ContainerSpec] = (),
    ) -> tuple[int, str]:
        """Runs a command in a container that names an instance, or none; returns its status and what it printed.

        With `more` variables it has a network: there may be a metadata server in it.
        """
        spec = ContainerSpec(
            image=self.image,
            entrypoint=entrypoint,
            command=command,
            environment={"BACKEND_STORE_URI": address, **(more or {})},
            mounts={**self.servers.mounts(connection_name(sees))} if sees else {},
            tmpfs={"/tmp": 64},  # noqa: S108
            read_only=True,
            isolated=not more,
            user=user,
            labels={"localcloud": self.label},
            helpers=helpers,
        )
        container = self.engine.start(spec)
        try:
            return container.wait(60), container.logs().strip()
        finally:
            container.remove()

    def sql(self, *statements: str, name: str = "main", address: str = "") -> tuple[int, str]:
        """Runs SQL as the service would."""
        return self.client(address or uri(name), "-c", CLIENT, *statements, entrypoint=PYTHON, sees=name)
