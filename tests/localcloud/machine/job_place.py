"""Jobs of a local cloud without Terraform: what the tests of executions and schedules run and call."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from harness.waiting import wait_for
from localcloud.clock import Clock
from localcloud.machine.background import serving
from localcloud.machine.executions import Executions
from localcloud.machine.interfaces import Interfaces
from localcloud.machine.logbook import Logbook, entries
from localcloud.machine.scheduler import Scheduler
from localcloud.machine.telemetry import Telemetry
from localcloud.machine.template import Surroundings
from localcloud.resource import Cloud
from localcloud.services import cloudscheduler, iam, run_jobs
from localcloud.services.logging_query import Query
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from aiohttp import web

    from containers.engine import Engine
    from localcloud.machine.identity import IdentityProvider

PARENT = "projects/tests/locations/here"
WORKER, CLOCK = "worker@tests.iam.gserviceaccount.com", "clock@tests.iam.gserviceaccount.com"


class JobPlace:
    """One local cloud with jobs, and a client of its interfaces."""

    def __init__(self, folder: Path, engine: Engine, image: str, identity: IdentityProvider) -> None:
        self.engine, self.image, self.identity = engine, image, identity
        self.label = f"test-{uuid4().hex[:8]}"
        self.cloud = Cloud(Store(folder / "home"))
        for email in (WORKER, CLOCK):
            self.cloud.store.put(iam.ServiceAccount.type, f"projects/tests/serviceAccounts/{email}", {"email": email})
        self.logs = folder / "logs"
        self.logbook = Logbook(self.logs, Clock(self.cloud.store))
        self.telemetry = Telemetry(engine, self.logbook)
        self._secrets = folder / "tasks"
        self.executions = self.make_executions()
        self.scheduler = Scheduler(self.cloud, identity, self.logbook, lambda _: self.port)
        application = Interfaces(self.cloud, identity, self.executions, self.scheduler.fire).application()
        application.on_startup.append(self._learn_loop)
        self._served = serving(application)
        self.port = self._served.__enter__()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def make_executions(self) -> Executions:
        async def environment() -> Mapping[str, str]:
            return {"SURROUNDED": "yes"}

        surroundings = Surroundings(
            environment=environment, sockets=lambda _: {}, ways=lambda _: [], secrets=self._secrets, label=self.label
        )
        return Executions(self.cloud, self.engine, surroundings, logs=self.logs, telemetry=self.telemetry)

    def close(self) -> None:
        self.do(self.scheduler.close())
        self.do(self.executions.close())
        self._served.__exit__(None, None, None)
        left = self.engine.containers(f"localcloud={self.label}")
        for container in left:
            container.remove()
        self.cloud.store.close()
        assert not left

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    async def _learn_loop(self, _: web.Application) -> None:
        self.loop = asyncio.get_running_loop()

    def job(self, name: str, script: str, *args: str, env: Any = (), count: int = 1, **task: Any) -> str:
        """Makes a job that runs Python; returns its full name."""
        limits = task.pop("limits", {"cpu": "1", "memory": "128Mi"})
        container = {
            "image": self.image,
            "command": ["python3"],
            "args": ["-c", script, *args],
            "env": [*env],
            "resources": [{"limits": limits}],
        }
        inner = {"service_account": WORKER, "containers": [container], "max_retries": 0, "timeout": "60s", **task}
        full_name = f"{PARENT}/jobs/{name}"
        values: Any = {
            "id": full_name,
            "name": name,
            "project": "tests",
            "location": "here",
            "template": [{"task_count": count, "parallelism": 1, "template": [inner]}],
        }
        self.cloud.store.put(run_jobs.Job.type, full_name, values)
        return full_name

    def grant(self, role: str, email: str = CLOCK, job: str = "", project: str = "") -> None:
        """Binds a role on a job, or on the project."""
        member = iam.member_of(email)
        kind, where = (iam.ProjectMember.type, project) if project else (run_jobs.JobMember.type, job)
        key = f"{where}/{role}/{member}"
        self.cloud.store.put(kind, key, {"id": key, "role": role, "member": member, "project": "tests"})

    def secret(self, name: str, value: str) -> None:
        """Makes a secret that the worker may read."""
        full_name = f"projects/tests/secrets/{name}"
        version = f"{full_name}/versions/1"
        self.cloud.store.put(
            "secretmanager.version", version, {"name": version, "secret": full_name, "state": "ENABLED"}
        )
        self.cloud.store.put_secret(version, value)
        self.grant("roles/secretmanager.secretAccessor", WORKER, project="tests")

    def call(self, method: str, path: str, *, email: str = CLOCK, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.identity.access_token(email)}"} if email else {}
        return self.http.request(method, path, headers=headers, json=body)

    def run(self, job: str, **overrides: Any) -> dict[str, Any]:
        """Executes a job as somebody who may, and waits for its end."""
        self.grant("roles/run.jobsExecutorWithOverrides", job=job)
        answer = self.call("POST", f"/v2/{job}:run", body={"overrides": overrides} if overrides else {})
        return self.ended(answer.raise_for_status().json()["metadata"]["name"])

    def ended(self, execution: str) -> dict[str, Any]:
        wait_for(lambda: self.execution(execution).get("completionTime"), f"the end of {execution}", deadline_s=90)
        return self.execution(execution)

    def execution(self, name: str) -> dict[str, Any]:
        found: Any = self.cloud.store.get(run_jobs.EXECUTION, name)
        return found or {}

    def executions_of(self, job: str) -> list[Any]:
        return [*run_jobs.executions(self.cloud, job)]

    def log(self, query: str) -> list[Any]:
        """The log entries that a filter asks for."""
        asked = Query(query)
        return [entry for entry in entries(self.logs) if asked.matches(entry)]

    def schedule(self, job: str, *, uri: str = "", email: str = CLOCK, **changes: Any) -> str:
        """Makes a job of Cloud Scheduler that runs a job of Cloud Run each night at three; returns its full name."""
        name = f"{PARENT}/jobs/nightly"
        target = {
            "uri": uri or f"https://run.googleapis.com/v2/{job}:run",
            "http_method": "POST",
            "oauth_token": [{"service_account_email": email}] if email else [],
        }
        values: Any = {
            "id": name,
            "name": "nightly",
            "project": "tests",
            "region": "here",
            "schedule": "0 3 * * *",
            "time_zone": "Etc/UTC",
            "state": "ENABLED",
            "attempt_deadline": "30s",
            "http_target": [target],
            **changes,
        }
        self.cloud.store.put(cloudscheduler.Job.type, name, values)
        return name

    def push(self, **by: float) -> None:
        """Pushes the clock, as another process does."""
        Clock(self.cloud.store).push(timedelta(**by))
