"""Cloud Run's front door: finds the service that a request is for, asks IAM, keeps the limits, and passes it on.

A service is found by the names that Cloud Run gives it. This machine's own names, and that of the https port, stand for
a custom domain, and lead to the only service there is; no other name leads anywhere. Left out: identity tokens for
services that are not public, WebSockets, HTTP/2, compression.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING

from aiohttp import ClientError, web

from localcloud.machine.callers import OWN_NAMES, name_of
from localcloud.machine.forwarding import AnswerTooLarge, forward, same_path
from localcloud.machine.instance import StartFailed, labels_of
from localcloud.machine.logbook import Source
from localcloud.machine.places import Overloaded
from localcloud.machine.revision import Retired, Revision
from localcloud.services import iam, run
from localcloud.terraform.model import Object, strings, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from localcloud.machine.iap import IdentityAwareProxy
    from localcloud.machine.services import Services
    from localcloud.machine.telemetry import Telemetry
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
# Over HTTP/1: https://cloud.google.com/run/quotas. An answer's headers count (a body of one byte less was refused), and
# one that is sent in chunks may have any size.
MAX_REQUEST_BYTES = MAX_ANSWER_BYTES = 32 * 1024 * 1024
# The request's line and headers together, at Google's front end: https://cloud.google.com/load-balancing/docs/quotas
MAX_HEADER_BYTES = 64 * 1024
_ALL = "INGRESS_TRAFFIC_ALL"
_CLIENT_CLOSED = 499
# What is noted of a request: the labels of the instance that it was for, and why there was none.
_LABELS = web.RequestKey("labels", dict[str, str])
_SAID = web.RequestKey("said", str)


class FrontDoor:
    """Answers for every service of the local cloud."""

    def __init__(
        self,
        cloud: Cloud,
        services: Services,
        *,
        domain: str = "",
        telemetry: Telemetry | None = None,
        iap: IdentityAwareProxy | None = None,
    ) -> None:
        """Knows no service yet.

        Args:
            cloud: Where the services and their invokers are.
            services: What runs.
            domain: A custom domain of the only service.
            telemetry: Where requests are noted; None for nowhere.
            iap: What stands in front of services with `iap_enabled`; None lets nobody through to those.
        """
        self._domains = OWN_NAMES | {domain.lower()}
        self._cloud = cloud
        self._services = services
        self._telemetry = telemetry
        self._iap = iap
        self._routes: dict[str, Object] = {}
        self._public: set[str] = set()
        self._changes = -1

    def application(self) -> web.Application:
        """Returns the web application."""
        # The limit is the front door's own; aiohttp's is for bodies that it reads itself.
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{path:.*}", self._noted if self._telemetry else self._answer)
        return application

    async def _noted(self, request: web.Request) -> web.StreamResponse:
        """Answers, and notes how."""
        began, status = time.monotonic(), _CLIENT_CLOSED
        try:
            answer = await self._answer(request)
            status = answer.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self._note(request, status, time.monotonic() - began)
        return answer

    def _note(self, request: web.Request, status: int, latency_s: float) -> None:
        service = self._find(request.host)
        if service is None or self._telemetry is None:
            return
        project, location, name = (text(service, part) for part in ("project", "location", "name"))
        revision = self._services.revisions.get(text(service, "id"))
        names = {"configuration_name": name, "location": location, "service_name": name}
        names["revision_name"] = revision.spec.name if revision else ""
        labels = request.get(_LABELS, {})
        source = Source(project=project, resource="cloud_run_revision", resource_labels=names, labels=labels)
        fields = {
            "protocol": f"HTTP/{request.version.major}.{request.version.minor}",
            "remoteIp": request.remote or "",
            "requestMethod": request.method,
            "requestUrl": f"https://{request.host}{request.rel_url}",
            "userAgent": request.headers.get("User-Agent", ""),
        }
        self._telemetry.request(source, status, latency_s, fields, request.get(_SAID, ""))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if _header_bytes(request) > MAX_HEADER_BYTES:
            return _too_large()
        self._learn()
        service = self._find(request.host)
        if service is None or text(service, "ingress") != _ALL:
            return _error(404, "Page not found", "The requested URL was not found on this server.")
        name, proven = text(service, "id"), dict[str, str]()
        if service.get("iap_enabled") is True:
            proven = await self._iap.headers(request, service) if self._iap else {}
            may_call = bool(proven) and self._iap is not None and self._iap.may_call(service)
        else:
            may_call = name in self._public
        if not may_call:
            return _error(403, "Forbidden", "Your client does not have permission to get this URL from this server.")
        if (request.content_length or 0) > MAX_REQUEST_BYTES:
            return _too_large()
        return await self._pass_on(request, name, proven)

    async def _pass_on(self, request: web.Request, service: str, proven: Mapping[str, str]) -> web.StreamResponse:
        revision = self._services.revisions.get(service)
        if revision is None:
            return _error(503, "Service Unavailable", "The service has no revision that is ready.")
        try:
            async with asyncio.timeout(revision.spec.timeout_s):
                return await self._ask(request, revision, proven)
        except Retired:
            return await self._pass_on(request, service, proven)
        except TimeoutError:
            return _error(504, "Gateway Timeout", "The request has been terminated: it reached the maximum timeout.")
        except Overloaded:
            request[_SAID] = "The request was aborted because there was no available instance."
            return _error(429, "Too Many Requests", "Rate exceeded: there was no available instance.")
        except (StartFailed, ClientError, ConnectionError) as error:
            _LOG.warning("%s: %s %s failed: %s", revision.spec.name, request.method, request.path, error)
            return _error(
                503, "Service Unavailable", "The request failed: the instance could not start or ended early."
            )

    async def _ask(self, request: web.Request, revision: Revision, proven: Mapping[str, str]) -> web.StreamResponse:
        async with revision.instance() as instance:
            request[_LABELS] = labels_of(instance.container)
            target = same_path(request, instance.origin)
            # A body without a length can only be counted as it comes.
            body = _Counted(request) if request.can_read_body and request.content_length is None else None
            pieces = body.pieces() if body else None
            try:
                return await forward(
                    request,
                    instance.session,
                    target,
                    headers={**_added_headers(request), **proven},
                    body=pieces,
                    largest_answer=MAX_ANSWER_BYTES,
                )
            except AnswerTooLarge:
                _LOG.error("Response size was too large. Please consider reducing response size.")
                return _error(
                    500, "Server Error", "The server encountered an error and could not complete your request."
                )
            except ClientError:
                if body and body.too_large:
                    return _too_large()
                raise

    def _find(self, host: str) -> Object | None:
        name = name_of(host)
        if name in self._routes:
            return self._routes[name]
        known = {text(service, "id"): service for service in self._routes.values()}
        return next(iter(known.values())) if len(known) == 1 and name in self._domains else None

    def _learn(self) -> None:
        """Reads the services and their public invokers again when something was changed."""
        if self._changes == self._cloud.store.changes:
            return
        self._changes = self._cloud.store.changes
        services = self._cloud.store.all(run.Service.type)
        self._routes = {
            url.removeprefix("https://"): service for service in services for url in strings(service, "urls")
        }
        self._public = {
            text(service, "id")
            for service in services
            if service.get("invoker_iam_disabled") is True
            or iam.allows(self._cloud, "allUsers", "run.routes.invoke", run.target(service))
        }


class _Counted:
    """The body of a request, up to the limit; sending it fails there."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.too_large = False

    async def pieces(self) -> AsyncIterator[bytes]:
        total = 0
        async for piece in self._request.content.iter_any():
            total += len(piece)
            if total > MAX_REQUEST_BYTES:
                self.too_large = True
                raise ValueError("the body is too large")
            yield piece


def _added_headers(request: web.Request) -> dict[str, str]:
    """Returns the headers that Cloud Run adds for the container: caller, protocol and trace.

    https://cloud.google.com/run/docs/trace, https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header
    """
    address = request.remote or ""
    added = {
        "X-Forwarded-For": ", ".join([*request.headers.getall("X-Forwarded-For", []), address]),
        "X-Forwarded-Proto": request.scheme,
        "Forwarded": f'for="{address}";proto={request.scheme}',
    }
    if not request.headers.keys() & {"traceparent", "X-Cloud-Trace-Context"}:
        trace, span = secrets.token_hex(16), secrets.token_hex(8)
        added["traceparent"] = f"00-{trace}-{span}-00"
        added["X-Cloud-Trace-Context"] = f"{trace}/{int(span, 16)}"
    return added


def _header_bytes(request: web.Request) -> int:
    fields = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    return len(request.method) + len(request.raw_path) + len(" HTTP/1.1\r\n ") + fields


def _too_large() -> web.Response:
    return _error(413, "Request Entity Too Large", "Your client issued a request that was too large.")


def _error(status: int, title: str, message: str) -> web.Response:
    return web.Response(
        status=status,
        text=f"<html><title>{status} {title}</title><h1>Error: {title}</h1><h2>{message}</h2></html>\n",
        content_type="text/html",
    )
