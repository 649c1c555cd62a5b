"""Cloud SQL: each instance is a real server in its own container, reached only through its sockets.

Debian's server runs, whatever version was asked for, and MariaDB in place of MySQL. Its data lie in a volume, its
sockets in another, which the services that name the instance mount at /cloudsql/PROJECT:REGION:INSTANCE, its backups
and its log in a third. In a network it has a further socket, for TLS, and a helper beside each container in the network
takes there what is sent to the instance's address. The tier decides on CPUs, memory and connections; a shared core is a
whole one here, as Google lets it be for a while.

Left out: public addresses (nothing listens there), replicas, failover, disk sizes, maintenance, charset and
collation of a database (UTF-8 and byte order), and users bound to hosts.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from containers import images
from containers.container import ContainerSpec
from localcloud.machine.database_network import variables, way
from localcloud.machine.database_server import Measured, refused, run_script, run_sql, stop, wait_until_ready
from localcloud.machine.dialects import BACKUPS, DIALECTS, LOGINS, Dialect, dialect_of
from localcloud.machine.tiers import size_of
from localcloud.services.sql_editions import keeps_log
from localcloud.services.sql_logins import takes_tokens
from localcloud.terraform.model import Object, Problem, Refused, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from containers.container import Container
    from containers.engine import Engine
    from localcloud.services.sql_certificates import Identity

RESTORE_DEADLINE_S = 600


class DatabaseServers:
    """The servers of one local cloud. Every method raises `EngineError` where the engine fails.

    Args:
        engine: Where they run.
        label: The local cloud's name: containers and volumes have it as label `localcloud` and before their names.
        logins: The folder with the socket where tokens are checked (`logins.py`); None if no instance takes any.
        identity: Who a server in a network is.
    """

    def __init__(
        self, engine: Engine, *, label: str, identity: Callable[[Object], Identity], logins: Path | None = None
    ) -> None:
        self._engine = engine
        self._label = label
        self._logins = logins
        self._identity = identity

    def run(self, instance: Object) -> None:
        """Runs a server until it answers; one that runs already restarts only if its tier, flags or image changed.

        Args:
            instance: The google_sql_database_instance, with its connection name.

        Raises:
            Refused: It does not start; the end of its log is in the detail.
        """
        name, dialect = self._name(instance, "name"), dialect_of(instance)
        image = build_image(self._engine, dialect)
        spec = self._spec(name, dialect, instance, image)
        arguments = "\0".join([spec.image, *spec.command, *spec.arguments()])
        digest = hashlib.sha256(arguments.encode()).hexdigest()
        container = self._engine.container(name)
        if container and not (container.running and container.labels().get("localcloud.spec") == digest):
            stop(container)
            container.remove()
            container = None
        if not container:
            for volume in _volumes(name):
                self._engine.create_volume(volume, f"localcloud={self._label}")
            labels = {**spec.labels, "localcloud.spec": digest}
            container = self._engine.start(replace(spec, labels=labels), name=name)
        wait_until_ready(container, dialect)

    def ensure_running(self, instance: Object) -> None:
        """Starts a server again after a crash or a reboot; one that runs is left alone."""
        container = self._engine.container(self._name(instance, "name"))
        if not container or not container.running:
            self.run(instance)

    def stop(self, instance: Object) -> None:
        """Ends a server at once but in order; its data stay."""
        container = self._engine.container(self._name(instance, "name"))
        if container:
            stop(container)

    def remove(self, instance: Object) -> None:
        """Removes a server with all its data; its backups stay if the instance says so."""
        name = self._name(instance, "name")
        container = self._engine.container(name)
        if container:
            container.remove()
        gone = set(_volumes(name)) & set(self._engine.volumes(f"localcloud={self._label}"))
        if at(instance, "settings", 0, "retain_backups_on_delete") is True:
            gone.discard(_backups(name))
        for volume in gone:
            self._engine.remove_volume(volume)

    def back_up(self, instance: Object, backup: str) -> None:
        """Copies the data of a running server, replacing a backup of the same name.

        Raises:
            Refused: The server is down, or the copy fails.
        """
        container, _ = self._server(instance, "name")
        run_script(container, "take", backup)

    def restore(self, instance: Object, source: Object, backup: str, until: str = "") -> None:
        """Replaces an instance's data by a backup, and runs the server; it may be a new instance.

        Args:
            instance: The google_sql_database_instance that gets the data.
            source: The instance that the backup was taken from; it need not exist any more, except for `until`.
            backup: The name of the backup.
            until: A time as in 2026-01-31T10:15:00Z up to which the log is replayed; "" for the backup alone.

        Raises:
            Refused: The log does not reach so far, or a server does not start.
        """
        name, dialect = self._name(instance, "name"), dialect_of(instance)
        if until:
            run_script(self._server(source, "name")[0], "flush")
        server = self._engine.container(name)
        if server:
            stop(server)
        spec = self._spec(name, dialect, instance, build_image(self._engine, dialect))
        for volume in _volumes(name):
            self._engine.create_volume(volume, f"localcloud={self._label}")
        kept = {_backups(self._name(source, "name")): "/source", _volumes(name)[0]: dialect.home}
        # As much memory as the machine gives: data may come from a larger instance.
        spec = replace(spec, entrypoint="/opt/restore.sh", command=[backup, until] if until else [backup], mounts=kept)
        container = self._engine.start(replace(spec, memory_mib=None, environment={}))
        try:
            if container.wait(RESTORE_DEADLINE_S):
                raise refused(f"backup {backup} could not be restored to {text(instance, 'name')}", container)
        finally:
            container.remove()
        if server:
            server.remove()
        self.run(instance)

    def create_database(self, database: Object) -> None:
        """Creates a google_sql_database, unless there is one.

        Raises:
            Refused: The server is down or says no.
        """
        container, dialect = self._server(database)
        run_sql(container, dialect, dialect.create_database(text(database, "name")))

    def drop_database(self, database: Object) -> None:
        """Drops a google_sql_database, if there is one.

        Raises:
            Refused: The server is down or says no, as PostgreSQL does while a client is connected.
        """
        container, dialect = self._server(database)
        run_sql(container, dialect, dialect.drop_database(text(database, "name")))

    def set_password(self, user: Object, password: str) -> None:
        """Creates a google_sql_user, or gives it another password; sessions that are open stay so.

        Raises:
            Refused: The server is down or says no.
        """
        container, dialect = self._server(user)
        run_sql(container, dialect, dialect.set_password(text(user, "name"), password))

    def create_account(self, user: Object, password: str) -> None:
        """Creates a google_sql_user that is a service account, unless there is one.

        Raises:
            Refused: The server is down or says no.
        """
        container, dialect = self._server(user)
        run_sql(container, dialect, dialect.create_account(text(user, "name"), password))

    def drop_user(self, user: Object) -> None:
        """Drops a google_sql_user, if there is one.

        Raises:
            Refused: The server is down or says no, as PostgreSQL does while the user owns something.
        """
        container, dialect = self._server(user)
        run_sql(container, dialect, dialect.drop_user(text(user, "name")))

    def measure(self, instance: Object) -> Measured:
        """Returns what can be measured of a server that runs.

        Raises:
            Refused: It is down.
        """
        container, dialect = self._server({"project": instance["project"], "instance": instance["name"]})
        rows = container.execute(*dialect.client, stdin=dialect.connections)
        parts = [row.replace("|", " ").split() for row in rows.splitlines()]
        _, limit = size_of(text(instance, "settings", 0, "tier"))
        return Measured(
            connections={part[0]: int(part[-1]) for part in parts if len(part) > 1 and part[-1].isdecimal()},
            disk_mib=float(container.execute("du", "-sm", dialect.home, user="root").split()[0]),
            memory_mib=container.memory_mib(),
            memory_limit_mib=limit,
        )

    def mounts(self, connection_name: str) -> dict[str, str]:
        """Returns the volume with an instance's socket, and where the container of a service mounts it, read-only.

        Args:
            connection_name: `PROJECT:REGION:INSTANCE`.

        Raises:
            Refused: The instance never ran here.
        """
        project, _, instance = connection_name.rsplit(":", 2)
        values: Object = {"project": project, "instance": instance}
        name = self._name(values, "instance")
        container = self._find(values, "instance")
        return {_volumes(name)[1]: _dialect_of(container).mount_path(connection_name)}

    def way(self, instance: Object) -> ContainerSpec:
        """Returns the helper that a container needs to reach an instance by its private address.

        Args:
            instance: The google_sql_database_instance, with that address.
        """
        dialect, sockets = dialect_of(instance), _volumes(self._name(instance, "name"))[1]
        return way(build_image(self._engine, dialect), dialect, sockets, text(instance, "private_ip_address"))

    def _name(self, values: Object, attribute: str) -> str:
        # An instance's name is unique in its project only; a project of a domain has a colon in its name.
        project = text(values, "project").replace(":", "_")
        return f"{self._label}-sql-{project}.{text(values, attribute)}"

    def _spec(self, name: str, dialect: Dialect, instance: Object, image: str) -> ContainerSpec:
        connection_name, tier = text(instance, "connection_name"), text(instance, "settings", 0, "tier")
        flags = {text(flag, "name"): text(flag, "value") for flag in objects(instance, "settings", 0, "database_flags")}
        cpus, memory_mb = size_of(tier)
        mounts: dict[Path | str, str] = dict(zip(_volumes(name), (dialect.home, dialect.sockets, BACKUPS), strict=True))
        environment = dialect.environment(connection_name) | variables(instance, self._identity)
        if self._logins and takes_tokens(instance):
            mounts |= {self._logins: LOGINS}
            environment |= {"LOGINS": LOGINS, "INSTANCE": connection_name}
        return ContainerSpec(
            image=image,
            command=dialect.options(tier, memory_mb, flags, keeps_log=keeps_log(instance)),
            environment=environment,
            mounts=mounts,
            writable=frozenset({dialect.home, dialect.sockets, BACKUPS}),
            # PostgreSQL's parallel queries share memory; MariaDB's large sorts spill.
            tmpfs={"/dev/shm": memory_mb // 4, "/tmp": memory_mb // 4},  # noqa: S108
            memory_mib=memory_mb,
            cpus=min(cpus, os.cpu_count() or cpus),  # docker refuses more than there are
            read_only=True,
            isolated=True,
            labels={"localcloud": self._label, "localcloud.dialect": dialect.name},
        )

    def _find(self, values: Object, attribute: str) -> Container:
        """Finds the container of an instance that an attribute names."""
        container = self._engine.container(self._name(values, attribute))
        if not container:
            summary = f"no server of Cloud SQL instance {text(values, attribute)} on this machine"
            raise Refused(Problem(summary, "Apply the google_sql_database_instance again to restart it."))
        return container

    def _server(self, values: Object, attribute: str = "instance") -> tuple[Container, Dialect]:
        container = self._find(values, attribute)
        if not container.running:
            raise refused(f"the server of Cloud SQL instance {text(values, attribute)} is down", container)
        return container, _dialect_of(container)


def build_image(engine: Engine, dialect: Dialect) -> str:
    """Builds the image of a kind of server, unless it is there; returns its reference."""
    return images.build(engine, context=dialect.context, name=f"localhost/localcloud-{dialect.name}")


def _volumes(name: str) -> tuple[str, str, str]:
    """Returns the names of the volumes for data, for the socket, and for backups and the log."""
    return f"{name}-data", f"{name}-socket", _backups(name)


def _backups(name: str) -> str:
    return f"{name}-backups"


def _dialect_of(container: Container) -> Dialect:
    return DIALECTS[container.labels()["localcloud.dialect"]]
