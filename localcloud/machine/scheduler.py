"""Cloud Scheduler as it runs: calls what is due, with a token of the job's account, and tries again as configured.

Jobs are due by the local cloud's clock. One that was due several times while the clock was pushed is called once, and
not while its last call is under way. Left out: calls that were missed while the local
cloud was down, and the internet: it calls Google's interfaces and only the services of this local cloud.
https://cloud.google.com/scheduler/docs/creating
"""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from containers.loopback import LOOPBACK
from localcloud.clock import seconds
from localcloud.machine.interfaces import REGION_HEADER, status_of
from localcloud.machine.logbook import Source
from localcloud.machine.periodic import Periodic
from localcloud.services import cloudscheduler, iam
from localcloud.services.cloudscheduler import Job, account_of, schedule_of
from localcloud.terraform.model import Object, Value, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from localcloud.machine.identity import IdentityProvider
    from localcloud.machine.logbook import Logbook
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_EXECUTIONS = "cloudscheduler.googleapis.com/executions"
_KIND = "type.googleapis.com/google.cloud.scheduler.logging"
_REGIONAL = re.compile(r"([a-z0-9-]+)-run\.googleapis\.com")
_MOST_BACKOFF_S = 3600.0


class Scheduler(Periodic):
    """Calls what is due, from `open` to `close`.

    Args:
        cloud: Where the jobs are.
        identity: Who signs their tokens.
        logbook: Where attempts are logged, and the time.
        ports: The ports of the front door and of Google's interfaces, by the names of the sites.
    """

    every_s = 0.5

    def __init__(self, cloud: Cloud, identity: IdentityProvider, logbook: Logbook, ports: Callable[[str], int]) -> None:
        super().__init__(logbook.clock)
        self._cloud = cloud
        self._identity = identity
        self._logbook = logbook
        self._ports = ports
        self._since: dict[tuple[str, ...], datetime] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Ends; calls under way are given up."""
        await super().close()
        tasks = [*self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tick(self) -> None:
        """Calls what has become due since the last time; what was due before the first is not called."""
        now = self.clock.now()
        since: dict[tuple[str, ...], datetime] = {}
        for job in self._cloud.store.all(Job.type):
            key = tuple(text(job, name) for name in ("id", "schedule", "time_zone", "state"))
            before = self._since.get(key, now)
            due = schedule_of(job).after(before) if text(job, "state") == "ENABLED" else None
            since[key] = now
            if due and due <= now:
                self._call_in_background(job)
        self._since = since

    def _call_in_background(self, job: Object) -> None:
        name = text(job, "id")
        if name in self._calls:
            _LOG.warning("%s is due while its last call is still under way", name)
            return
        task = asyncio.create_task(self.fire(job))
        self._calls[name] = task
        task.add_done_callback(lambda _: self._calls.pop(name, None))

    async def fire(self, job: Object) -> None:
        """Calls what a job calls, and again as its retries say."""
        began, attempt = asyncio.get_running_loop().time(), 0
        while True:
            status = await self._attempt(job)
            if not status or not self._tries_again(job, attempt, asyncio.get_running_loop().time() - began):
                return
            await asyncio.sleep(_backoff(job, attempt))
            attempt += 1

    def _tries_again(self, job: Object, attempt: int, elapsed: float) -> bool:
        """Until both limits are reached: https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#RetryConfig."""
        if not self._cloud.store.get(Job.type, text(job, "id")):
            return False
        retry = (objects(job, "retry_config") or [{}])[0]
        count, longest = retry.get("retry_count"), seconds(retry.get("max_retry_duration"))
        return attempt < (count if isinstance(count, int | float) else 0) or elapsed < longest

    async def _attempt(self, job: Object) -> str:
        """One call; returns the status of a failure, "" for success."""
        name, target = text(job, "id"), objects(job, "http_target")[0]
        uri = text(target, "uri")
        self._note(job, "AttemptStarted", "INFO", {"url": uri, "scheduledTime": self.clock.timestamp()})
        code, reason = await self._send(job, target, uri)
        status = reason or status_of(code)
        fields: Object = {"url": uri}
        if status:
            why = "ERROR_AUTHENTICATION" if code == 401 else "ERROR_NOT_FOUND" if code == 404 else "ERROR_OTHER"  # noqa: PLR2004
            said = f"URL_ERROR-{why}. Original HTTP response code number = {code}" if code else "URL_UNREACHABLE"
            fields |= {"debugInfo": said, "status": status}
        severity = "ERROR" if status else "INFO"
        self._note(job, "AttemptFinished", severity, fields, httpRequest={"status": code})
        cloudscheduler.note_attempt(self._cloud, name, status or "OK", self.clock.timestamp())
        _LOG.log(logging.ERROR if status else logging.INFO, "%s called %s: %s", name, uri, status or code)
        return status

    async def _send(self, job: Object, target: Object, uri: str) -> tuple[int, str]:
        """The status code of the answer, and what kept the call from getting one."""
        place = self._place(uri)
        if place is None:
            _LOG.error("%s: the local cloud has no server for %s", text(job, "id"), uri)
            return 0, "UNAVAILABLE"
        url, headers = place
        given = target.get("headers")
        headers = {**(given if isinstance(given, dict) else {}), **headers, "User-Agent": "Google-Cloud-Scheduler"}
        headers["X-CloudScheduler"] = "true"
        headers["X-CloudScheduler-JobName"] = text(job, "name")
        authorization = self._authorization(job, target, uri)
        if authorization is None:
            return 0, "UNAUTHENTICATED"
        timeout = ClientTimeout(total=seconds(job.get("attempt_deadline")) or 180)
        try:
            async with (
                ClientSession(timeout=timeout) as session,
                session.request(
                    text(target, "http_method") or "POST",
                    url,
                    data=b64decode(text(target, "body")) or None,
                    headers={name: str(value) for name, value in headers.items()} | authorization,
                    allow_redirects=False,
                ) as answer,
            ):
                await answer.read()
                return answer.status, ""
        except TimeoutError:
            return 0, "DEADLINE_EXCEEDED"
        except ClientError:
            return 0, "UNAVAILABLE"

    def _authorization(self, job: Object, target: Object, uri: str) -> dict[str, str] | None:
        """The header with the token of the job's account; None if there is no such account any more."""
        email = account_of(job)
        if not email:
            return {}
        name = f"projects/{text(job, 'project')}/serviceAccounts/{email}"
        if not self._cloud.store.get(iam.ServiceAccount.type, name):
            return None
        token = (
            self._identity.token(audience=text(target, "oidc_token", 0, "audience") or uri, email=email)
            if at(target, "oidc_token", 0)
            else self._identity.access_token(email)
        )
        return {"Authorization": f"Bearer {token}"}

    def _place(self, uri: str) -> tuple[str, Mapping[str, Value]] | None:
        """Where on this machine a URL is served, and headers that say what its name said."""
        parts = urlsplit(uri)
        host, rest = parts.hostname or "", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        interfaces = f"http://{LOOPBACK}:{self._ports('interfaces')}{rest}"
        regional = _REGIONAL.fullmatch(host)
        if host in {"run.googleapis.com", "cloudscheduler.googleapis.com"}:
            return interfaces, {}
        if regional:
            return interfaces, {REGION_HEADER: regional[1]}
        if host.endswith(".run.app"):
            return f"http://{LOOPBACK}:{self._ports('front door')}{rest}", {"Host": host}
        return None

    def _note(self, job: Object, kind: str, severity: str, payload: Object, **fields: Value) -> None:
        source = Source(
            project=text(job, "project"),
            resource="cloud_scheduler_job",
            resource_labels={"job_id": text(job, "name"), "location": text(job, "region")},
            labels={},
        )
        own: Object = {"@type": f"{_KIND}.{kind}", "jobName": text(job, "id"), "targetType": "HTTP"}
        self._logbook.write(source, _EXECUTIONS, severity, jsonPayload=own | payload, **fields)


def _backoff(job: Object, attempt: int) -> float:
    """Seconds before the next attempt: doubled so many times, then growing by as much each time, up to a limit."""
    retry = (objects(job, "retry_config") or [{}])[0]
    shortest, doublings = seconds(retry.get("min_backoff_duration")) or 5.0, retry.get("max_doublings")
    most = int(doublings) if isinstance(doublings, int | float) else 5
    doubled = shortest * 2 ** min(attempt, most)
    wait = doubled + max(0, attempt - most) * shortest * 2**most
    return min(wait, seconds(retry.get("max_backoff_duration")) or _MOST_BACKOFF_S)
