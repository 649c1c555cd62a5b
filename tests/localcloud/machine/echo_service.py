"""One service of the local cloud, without Terraform: what the tests of services deploy and call."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from localcloud.clock import Clock
from localcloud.machine.account_keys import AccountKeys
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.frontdoor import FrontDoor
from localcloud.machine.iap import IdentityAwareProxy
from localcloud.machine.journal import Journal
from localcloud.machine.logbook import Logbook
from localcloud.machine.services import Services
from localcloud.machine.telemetry import Telemetry
from localcloud.machine.template import Surroundings
from localcloud.resource import Cloud
from localcloud.services import iam, run
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from containers.container import Container
    from containers.engine import Engine
    from localcloud.terraform.model import Object

SERVER = (Path(__file__).parent / "echo_server.py").read_text()
NAME = "projects/tests/locations/here/services/echo"
ACCOUNT = "echo@tests.iam.gserviceaccount.com"


class Place:
    """One local cloud with one service, and a client of it."""

    def __init__(
        self, folder: Path, engine: Engine, image: str, *, idle_s: float = 900, telemetry: bool = False
    ) -> None:
        self.engine = engine
        self.label = f"test-{uuid4().hex[:8]}"
        self.mounts = folder / "mounts"
        self.cloud = Cloud(Store(folder / "home"))
        self.cloud.store.put(iam.ServiceAccount.type, f"projects/tests/serviceAccounts/{ACCOUNT}", {"email": ACCOUNT})
        self.account_keys = AccountKeys()
        self.iap = IdentityAwareProxy(self.cloud, self.account_keys)
        self._image = image
        self.logs = folder / "logs"
        self.telemetry = Telemetry(engine, Logbook(self.logs, Clock(self.cloud.store))) if telemetry else None
        self._idle_s = idle_s
        self.services = self.make_services()
        self.loop = asyncio.new_event_loop()
        self.http = httpx.Client(timeout=30)
        self._number = 0

    def make_services(self) -> Services:
        async def environment() -> Mapping[str, str]:
            return {}

        surroundings = Surroundings(
            environment=environment, sockets=lambda _: {}, ways=lambda _: [], secrets=self.mounts, label=self.label
        )
        return Services(
            self.cloud, self.engine, surroundings, journal=Journal(self.logs, self.telemetry), idle_s=self._idle_s
        )

    def application(self) -> web.Application:
        async def learn_loop(_: web.Application) -> None:
            self.loop = asyncio.get_running_loop()

        application = FrontDoor(self.cloud, self.services, telemetry=self.telemetry, iap=self.iap).application()
        application.on_startup.append(learn_loop)
        return application

    def do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def deploy(self, *arguments: str, container: Object | None = None, **template: Any) -> str:
        """Deploys the next revision, and tells the front door; returns its name."""
        self._number += 1
        revision = f"{NAME}/revisions/echo-{self._number:05}"
        resources: Object = {"limits": {"memory": "128Mi", "cpu": "1"}, "cpu_idle": False}
        ports: Object = {"container_port": 8080}
        probe: Object = {"http_get": [{"path": "/"}], "period_seconds": 1, "failure_threshold": 30}
        values: Object = {
            "image": self._image,
            "command": ["python3"],
            "args": ["-c", SERVER, *arguments],
            "ports": [ports],
            "resources": [resources],
            "startup_probe": [probe],
            **(container or {}),
        }
        service: Object = {
            "id": NAME,
            "name": "echo",
            "project": "tests",
            "location": "here",
            "ingress": "INGRESS_TRAFFIC_ALL",
            "invoker_iam_disabled": True,
            "latest_ready_revision": revision,
            "template": [{"service_account": ACCOUNT, "containers": [values], **template}],
            "urls": ["https://echo.run.app"],
        }
        self.do(self.services.deploy(service, revision))
        run.note_revision(self.cloud, service, revision)
        self.cloud.store.put(run.Service.type, NAME, service)
        return revision.rpartition("/")[2]

    def get(self, path: str = "/", **query: Any) -> dict[str, Any]:
        return self.http.get(path, params=query).raise_for_status().json()

    def containers(self) -> list[Container]:
        return self.engine.containers(f"localcloud={self.label}")


@contextmanager
def restarted(place: Place) -> Iterator[None]:
    """What a new process does after the first was killed: nobody looks after the first one's instances any more."""
    first, loop, url = place.services, place.loop, place.http.base_url
    for revision in first.revisions.values():
        for task in (revision._keeper, *revision._watchers):
            if task:
                loop.call_soon_threadsafe(task.cancel)
    place.services = place.make_services()
    try:
        with serving(place.application(), callers=EVERYBODY) as port:
            place.http.base_url = f"http://127.0.0.1:{port}"
            try:
                place.do(place.services.resume())
                yield
            finally:
                place.do(place.services.close())
    finally:
        place.services, place.loop, place.http.base_url = first, loop, url
