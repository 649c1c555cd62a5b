"""The platform of containers: every resource of the local cloud as a real part of this machine.

| resource | here |
| --- | --- |
| SQL instance, database, user | a PostgreSQL or MariaDB server in a container (`database.py`) |
| bucket, and who may use it | an object store emulator behind a gate that asks IAM (`storage.py`) |
| secrets | files and variables of the containers, by version number (`template.py`) |
| Cloud Run service | containers behind a front door (`services.py`, `revision.py`, `instance.py`, `frontdoor.py`) |
| how many instances | as many as load asks (`scaling.py`); requests wait for one (`places.py`) |
| Cloud Run job | a container for each task (`executions.py`, `tasks.py`), run by Google's interface (`interfaces.py`) |
| schedule of Cloud Scheduler | calls, by a clock that can be pushed (`scheduler.py`) |
| log entries, metrics | what containers print and what is counted (`logbook.py`, `telemetry.py`, `samples.py`) |
| alert policy, uptime check | incidents (`alerts.py`), requests to the front door (`uptime.py`) |
| accounts' tokens | a metadata server (`metadata.py`), sign-in (`identity.py`), logins to databases (`logins.py`) |
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from containers.engine import HOST, Engine
from localcloud.clock import Clock
from localcloud.machine.alerts import Alerts
from localcloud.machine.callers import CONTAINERS, EVERYBODY, PROGRAMS
from localcloud.machine.database import DatabaseServers
from localcloud.machine.engine_errors import engine_errors_shown
from localcloud.machine.executions import Executions
from localcloud.machine.frontdoor import FrontDoor
from localcloud.machine.iap import KEYS_PATH, IdentityAwareProxy, kept_key
from localcloud.machine.identity import SIGN_IN_PATH, IdentityProvider
from localcloud.machine.interfaces import SITE, Interfaces
from localcloud.machine.journal import Journal
from localcloud.machine.logbook import Logbook, entries
from localcloud.machine.logins import Logins
from localcloud.machine.metadata import Metadata, only, variables
from localcloud.machine.oauth_clients import OAuthClients
from localcloud.machine.object_versions import ObjectVersions
from localcloud.machine.options import sign_in_places
from localcloud.machine.samples import Sampler
from localcloud.machine.scheduler import Scheduler
from localcloud.machine.services import Services
from localcloud.machine.sites import Sites
from localcloud.machine.storage import CALLERS, ObjectStore, gate, storage_at
from localcloud.machine.telemetry import Telemetry
from localcloud.machine.template import ACCOUNT_LABEL, LABEL, Surroundings
from localcloud.machine.tls import server_context
from localcloud.machine.uptime import UptimeChecks
from localcloud.platform import Platform
from localcloud.services import networks, sql, sql_certificates
from localcloud.terraform.model import Object, Problem, Refused, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from containers.container import ContainerSpec
    from localcloud.machine.callers import Callers
    from localcloud.machine.options import Options
    from localcloud.resource import Cloud

_DEPLOY_TIMEOUT_S, _LOG_LINES = 900, 15
_Result = TypeVar("_Result")


class Machine(Platform):
    """Makes the resources of one local cloud; to be used in the event loop that `open` was called in, or beside it."""

    def __init__(self, cloud: Cloud, engine: Engine, home: Path, options: Options) -> None:
        self._cloud = cloud
        self._engine = engine
        self._options = options
        self._home = home
        self._sites = Sites(cloud.store, engine.bridge)
        self._ports: dict[str, int] = {}
        self._watchers: list[Scheduler | Sampler | Alerts | UptimeChecks] = []
        self._databases = DatabaseServers(
            engine,
            label=options.label,
            identity=partial(sql_certificates.identity, cloud),
            logins=home / "logins",
        )
        self._identity = IdentityProvider.kept(home, OAuthClients(cloud.store).get)
        self._iap = IdentityAwareProxy(cloud, self._identity.account_keys, kept_key(home / "iap-key.json"))
        self._logins = Logins(cloud, self._identity, home / "logins")
        self._objects = ObjectStore(home / "objects")
        self.versions = ObjectVersions(home / "versions", self._objects, lambda: Clock(cloud.store).now().timestamp())
        self.logs = logs = home / "logs"
        logbook = Logbook(logs, Clock(cloud.store))
        self._telemetry = Telemetry(engine, logbook)
        surroundings = Surroundings(
            environment=self._environment,
            sockets=self._databases.mounts,
            ways=self._ways,
            secrets=home / "mounts",
            label=options.label,
        )
        journal = Journal(logs, self._telemetry)
        self._services = Services(cloud, engine, surroundings, journal=journal, idle_s=options.idle_s)
        of_tasks = replace(surroundings, secrets=home / "tasks")
        self._executions = Executions(cloud, engine, of_tasks, logs=logs, telemetry=self._telemetry)
        self._scheduler = Scheduler(cloud, self._identity, logbook, self._ports.__getitem__)
        self._alerts = Alerts(cloud, self._telemetry, uptime=options.uptime_checks)
        self._sampler = Sampler(
            cloud, self._telemetry, self._services, self._executions, self._databases, disk_gb_mib=options.disk_gb_mib
        )

    async def open(self) -> dict[str, int]:
        """Starts everything, and what was running before; returns the ports by name.

        Raises:
            PortTaken: A port is in use.
        """
        self._loop = asyncio.get_running_loop()
        host, https_port = self._options.https or ("", 0)
        front_door = FrontDoor(self._cloud, self._services, domain=host, telemetry=self._telemetry, iap=self._iap)
        self._ports["front door"] = await self._sites.open(
            "front door", front_door.application(), EVERYBODY, port=self._options.port
        )
        if host:
            tls = server_context(self._home / "tls", host)
            self._ports["https"] = await self._sites.open(
                "https", front_door.application(), EVERYBODY, port=https_port, tls=tls
            )
        people = replace(CONTAINERS, destinations=frozenset({SIGN_IN_PATH}))
        sign_in = self._identity.application()
        sign_in.router.add_get(KEYS_PATH, self._iap.answer_keys)
        self._ports["sign-in"] = await self._sites.open("sign-in", sign_in, people)
        self._objects.start()
        storage = gate(self._cloud, self._identity, self._objects, self.versions.keep)
        self._ports["storage"] = await self._sites.open("storage", storage, CALLERS)
        interfaces = Interfaces(self._cloud, self._identity, self._executions, self._scheduler.fire)
        self._ports[SITE] = await self._sites.open(SITE, interfaces.application(), CONTAINERS)
        for user in self._options.users:
            await self._open_metadata(f"metadata of {user}", only(user), PROGRAMS)
        await self._logins.open()
        for instance in self._cloud.store.all(sql.Instance.type):
            await asyncio.to_thread(self._databases.ensure_running, instance)
        await self._executions.resume()
        await self._services.resume()
        uptime = UptimeChecks(self._cloud, self._telemetry, self._ports["front door"])
        self._watchers = [self._scheduler, self._sampler, self._alerts]
        self._watchers += [uptime] if self._options.uptime_checks else []
        for watcher in self._watchers:
            watcher.open()
        return self._ports

    async def close(self) -> None:
        """Ends everything; what is stored stays."""
        for watcher in self._watchers:
            await watcher.close()
        await self._executions.close()
        await self._services.close()
        for instance in self._cloud.store.all(sql.Instance.type):
            await asyncio.to_thread(self._databases.stop, instance)
        for site in (self._logins, self._sites):
            await site.close()
        self._objects.stop()

    @property
    def interface(self) -> str:
        """The URL that Google's interfaces for programs have here."""
        return f"http://127.0.0.1:{self._ports[SITE]}"

    def access_token(self, account: str) -> str:
        """Returns a token that lets a program call them as somebody, by e-mail address."""
        return self._identity.access_token(account)

    async def _open_metadata(self, name: str, whose: Callable[[str], Awaitable[str | None]], callers: Callers) -> int:
        if name not in self._ports:
            project = self._cloud.project or next(iter(self._cloud.circumstances.numbers), "local")
            server = Metadata(
                self._identity,
                whose=whose,
                project=project,
                number=self._cloud.project_number(project),
                region=self._cloud.region or "local",
            )
            self._ports[name] = await self._sites.open(name, server.application(), callers)
        return self._ports[name]

    async def _account_at(self, address: str) -> str | None:
        """The service account of the instance that calls from an address."""
        labels = await asyncio.to_thread(self._engine.labels_at, address, f"{LABEL}={self._options.label}")
        return labels.get(ACCOUNT_LABEL)

    async def _environment(self) -> dict[str, str]:
        """Where Google's metadata server and storage are, and what the options say: no container is told more."""
        port = self._ports["sign-in"]
        sign_in = sign_in_places(browser=f"http://localhost:{port}", container=f"http://{HOST}:{port}")
        metadata_port = await self._open_metadata("metadata", self._account_at, CONTAINERS)
        return {
            **variables(f"{HOST}:{metadata_port}"),
            **storage_at(self._ports["storage"], signing=self._ports[SITE]),
            **{name: template.format_map(sign_in) for name, template in self._options.environment.items()},
        }

    def _ways(self, network: str) -> list[ContainerSpec]:
        """What a container needs to reach the database servers of a network."""
        return [self._databases.way(server) for server in networks.servers(self._cloud, network)]

    def _wait_for(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_DEPLOY_TIMEOUT_S)

    @override
    @engine_errors_shown
    def run_database_server(self, instance: Object) -> None:
        self._databases.run(instance)

    @override
    @engine_errors_shown
    def remove_database_server(self, instance: Object) -> None:
        self._databases.remove(instance)

    @override
    @engine_errors_shown
    def back_up_database_server(self, instance: Object, backup: str) -> None:
        self._databases.back_up(instance, backup)

    @override
    @engine_errors_shown
    def restore_database_server(self, instance: Object, source: Object, backup: str, until: str) -> None:
        self._databases.restore(instance, source, backup, until)

    @override
    @engine_errors_shown
    def create_database(self, database: Object) -> None:
        self._databases.create_database(database)

    @override
    @engine_errors_shown
    def drop_database(self, database: Object) -> None:
        self._databases.drop_database(database)

    @override
    @engine_errors_shown
    def set_password(self, user: Object, password: str) -> None:
        self._databases.set_password(user, password)

    @override
    @engine_errors_shown
    def create_account(self, user: Object, password: str) -> None:
        self._databases.create_account(user, password)

    @override
    @engine_errors_shown
    def drop_user(self, user: Object) -> None:
        self._databases.drop_user(user)

    @override
    @engine_errors_shown
    def create_bucket(self, bucket: Object) -> None:
        self._objects.create_bucket(bucket)

    @override
    @engine_errors_shown
    def remove_bucket(self, bucket: Object) -> None:
        self.versions.check_empty(bucket)
        self._objects.remove_bucket(bucket)
        self.versions.forget(bucket)

    @override
    @engine_errors_shown
    def find_image(self, reference: str) -> None:
        if not self._engine.has_image(reference):
            todo = f"{self._engine.name} has no image of this name: build it, or pull it, and tag it so."
            raise Refused(Problem(f"image {reference!r} not found", todo))

    @override
    @engine_errors_shown
    def run_service(self, service: Object, revision: str) -> None:
        self._wait_for(self._services.deploy(service, revision))

    @override
    @engine_errors_shown
    def remove_service(self, service: Object) -> None:
        self._wait_for(self._services.remove(text(service, "id")))

    @override
    @engine_errors_shown
    def run_job(self, job: Object, execution: str, *, wait: bool) -> None:
        done = self._wait_for(self._executions.run_once(job, execution, wait=wait))
        message = text(done, "conditions", 0, "message")
        if wait and message:
            said = [
                text(entry, "jsonPayload", "message") or text(entry, "textPayload")
                for entry in entries(self.logs)
                if text(entry, "labels", "run.googleapis.com/execution_name") == execution
            ]
            raise Refused(Problem(f"Execution {execution} has failed: {message}", "\n".join(said[-_LOG_LINES:])))

    @override
    @engine_errors_shown
    def remove_job(self, job: Object) -> None:
        self._wait_for(self._executions.remove(text(job, "id")))
