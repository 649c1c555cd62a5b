"""Google's interfaces that are called while the cloud runs: Cloud Run's and Cloud Scheduler's of jobs, and signBlob.

Each call needs an access token, whose owner IAM is asked about. Left out: making and changing things (Terraform's
business), operations as something of their own, pages of long lists, field masks.
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs,
https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs,
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from localcloud.machine.execution import Overrides
from localcloud.machine.identity import EVERYTHING
from localcloud.resource import OWNER
from localcloud.services import cloudscheduler, iam, iamcredentials, run_jobs
from localcloud.terraform.model import Object, Refused, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcloud.machine.executions import Executions
    from localcloud.machine.identity import IdentityProvider
    from localcloud.resource import Cloud

SITE = "interfaces"
"""The name of the site, among the ports."""
_JOB = "/v2/projects/{project}/locations/{location}/jobs/{job}"
_SCHEDULED = "/v1/projects/{project}/locations/{location}/jobs/{job}"
# The older interface, which many schedules call: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs/run
_NAMESPACE = "/apis/run.googleapis.com/v1/namespaces/{project}/jobs/{job}:run"
_SIGN = "/v1/projects/-/serviceAccounts/{account}:signBlob"
_OF_CONTAINER, _OF_EXECUTION = {"args", "clearArgs", "env", "name"}, {"containerOverrides", "taskCount", "timeout"}
REGION_HEADER = "X-Local-Region"
"""On a call of the older interface: the region, which at Google is in the host name."""
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def status_of(code: int) -> str:
    """The status of an answer, as https://cloud.google.com/apis/design/errors has it; "" for success."""
    if code < 400:  # noqa: PLR2004
        return ""
    return _STATUSES.get(code, "INTERNAL" if code >= 500 else "FAILED_PRECONDITION")  # noqa: PLR2004


class Interfaces:
    """Answers for them.

    Args:
        cloud: What is remembered.
        identity: Whose tokens are taken.
        executions: What runs.
        fire: Calls what a google_cloud_scheduler_job calls, at once.
    """

    def __init__(
        self,
        cloud: Cloud,
        identity: IdentityProvider,
        executions: Executions,
        fire: Callable[[Object], Awaitable[None]],
    ) -> None:
        self._cloud = cloud
        self._identity = identity
        self._executions = executions
        self._fire = fire

    def application(self) -> web.Application:
        """Returns the web application."""
        application = web.Application(middlewares=[_in_googles_form])
        application.router.add_post(f"{_JOB}:run", self._run)
        application.router.add_post(_NAMESPACE, self._run)
        application.router.add_get(_JOB, self._get)
        application.router.add_get(f"{_JOB}/executions", self._list)
        application.router.add_get(f"{_JOB}/executions/{{execution}}", self._get_execution)
        application.router.add_post(f"{_JOB}/executions/{{execution}}:cancel", self._cancel)
        application.router.add_post(f"{_SCHEDULED}:run", self._run_schedule)
        application.router.add_post(_SIGN, self._sign)
        return application

    def _caller(self, request: web.Request, scope: str = EVERYTHING) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        email = self._identity.authenticate(token, scope) if scheme.lower() == "bearer" else None
        if email is None:
            raise web.HTTPUnauthorized(
                text="Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                "other valid authentication credential. See "
                "https://developers.google.com/identity/sign-in/web/devconsole-project."
            )
        return email

    def _job(self, request: web.Request, *permissions: str) -> Object:
        """The job that a call is about, if the caller may do that to it."""
        email = self._caller(request)
        names = request.match_info
        location = names.get("location") or request.headers.get(REGION_HEADER, "")
        project = self._project(names["project"])
        name = f"projects/{project}/locations/{location}/jobs/{names['job']}"
        job = self._cloud.store.get(run_jobs.Job.type, name)
        target = run_jobs.target(job or {"id": name, "project": project})
        for permission in permissions:
            if email != OWNER and not iam.allows(self._cloud, iam.member_of(email), permission, target):
                raise web.HTTPForbidden(
                    text=f"Permission '{permission}' denied on resource '{name}' (or resource may not exist)."
                )
        if job is None:
            raise web.HTTPNotFound(
                text=f"Resource '{names['job']}' of kind 'JOB' in region '{location}' in project '{project}' does not "
                "exist."
            )
        return job

    def _project(self, name: str) -> str:
        """The id of a project, which may be called by its number."""
        if not name.isdecimal():
            return name
        ids = {text(job, "project") for job in self._cloud.store.all(run_jobs.Job.type)}
        return next((it for it in ids if self._cloud.project_number(it) == name), name)

    async def _run(self, request: web.Request) -> web.Response:
        overrides = _overrides(await request.read())
        job = self._job(request, "run.jobs.run", *(["run.jobs.runWithOverrides"] if overrides else []))
        try:
            execution = await self._executions.run(job, overrides)
        except Refused as refused:
            raise web.HTTPBadRequest(text=str(refused)) from refused
        kind = "type.googleapis.com/google.cloud.run.v2.Execution"
        name = f"{text(job, 'id').partition('/jobs/')[0]}/operations/{text(execution, 'name').rpartition('/')[2]}"
        return web.json_response({"metadata": {"@type": kind, **execution}, "name": name})

    async def _get(self, request: web.Request) -> web.Response:
        job = self._job(request, "run.jobs.get")
        return web.json_response({"executionCount": job.get("execution_count"), "name": text(job, "id")})

    async def _list(self, request: web.Request) -> web.Response:
        job = self._job(request, "run.executions.list")
        newest_first = run_jobs.executions(self._cloud, text(job, "id"))[::-1]
        return web.json_response({"executions": newest_first} if newest_first else {})

    async def _get_execution(self, request: web.Request) -> web.Response:
        return web.json_response(self._execution(request, "run.executions.get"))

    async def _cancel(self, request: web.Request) -> web.Response:
        name = text(self._execution(request, "run.executions.cancel"), "name")
        await self._executions.cancel(name)
        return web.json_response({"name": name.replace("/executions/", "/operations/")})

    def _execution(self, request: web.Request, permission: str) -> Object:
        job, short = self._job(request, permission), request.match_info["execution"]
        found = self._cloud.store.get(run_jobs.EXECUTION, f"{text(job, 'id')}/executions/{short}")
        if found is None:
            raise web.HTTPNotFound(text=f"Resource '{short}' of kind 'EXECUTION' does not exist.")
        return found

    async def _run_schedule(self, request: web.Request) -> web.Response:
        email, names = self._caller(request), request.match_info
        name = "projects/{project}/locations/{location}/jobs/{job}".format_map(names)
        project = names["project"]
        target = iam.Target(project=project, name=name, type=f"{cloudscheduler.Job.api.name}/Job")
        permission = "cloudscheduler.jobs.run"
        if email != OWNER and not iam.allows(self._cloud, iam.member_of(email), permission, target):
            raise web.HTTPForbidden(
                text="The principal (user or service account) lacks IAM permission "
                f'"{permission}" for the resource "{name}" (or the resource may not exist).'
            )
        job = self._cloud.store.get(cloudscheduler.Job.type, name)
        if job is None:
            raise web.HTTPNotFound(text="Job not found.")
        await self._fire(job)
        return web.json_response({"name": name, "state": text(job, "state")})

    async def _sign(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        try:
            iamcredentials.require_sign(self._cloud, self._caller(request, iamcredentials.SCOPE), account)
            payload = base64.b64decode((await request.json())["payload"], validate=True)
        except Refused as refused:
            raise web.HTTPForbidden(text=refused.problems[0].summary) from refused
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"Invalid JSON payload received. {error}") from error
        signed = await asyncio.to_thread(self._identity.account_keys.sign, account, payload)
        return web.json_response({"keyId": "local", "signedBlob": base64.b64encode(signed).decode()})


def _overrides(body: bytes) -> Overrides:
    """Reads the overrides in the body of a `jobs:run`."""
    try:
        found: Any = json.loads(body or b"{}")
        asked: dict[str, Any] = found.get("overrides") or {}
        containers: list[dict[str, Any]] = asked.get("containerOverrides") or [{}]
        container, timeout = containers[0], str(asked.get("timeout") or "")
        unknown = sorted({*container} - _OF_CONTAINER) + sorted({*asked} - _OF_EXECUTION)
        wrong = f"Unknown name {', '.join(unknown)}" if unknown else ""
        wrong = wrong or ("one container can be overridden" if len(containers) != 1 else "")
        if wrong or (timeout and not re.fullmatch(r"\d+s", timeout)):
            raise web.HTTPBadRequest(text=f"Invalid JSON payload received. {wrong or f'Invalid timeout {timeout!r}'}")
        args = tuple(str(it) for it in container["args"]) if container.get("args") else None
        return Overrides(
            args=() if container.get("clearArgs") else args,
            env={str(it["name"]): str(it.get("value", "")) for it in container.get("env") or ()},
            task_count=int(asked.get("taskCount") or 0),
            timeout=timeout,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise web.HTTPBadRequest(text=f"Invalid JSON payload received. {error}") from error


@web.middleware
async def _in_googles_form(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refusals as JSON."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:  # noqa: PLR2004
            raise
        body = {"code": error.status, "message": error.text or error.reason, "status": status_of(error.status)}
        return web.json_response({"error": body}, status=error.status)
