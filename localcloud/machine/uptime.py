"""Uptime checks of services of this local cloud, run on schedule against the front door, once for each place.

Left out: how far those places of the world are, TCP checks and pings, authentication, JSON paths, and every host that
is not served here.
https://cloud.google.com/monitoring/uptime-checks
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from base64 import b64decode
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout

from containers.loopback import LOOPBACK
from localcloud.clock import seconds
from localcloud.machine.logbook import Source
from localcloud.machine.periodic import Periodic
from localcloud.services.monitoring import UPTIME, UptimeCheck
from localcloud.terraform.model import Object, objects, strings, text

if TYPE_CHECKING:
    from localcloud.machine.telemetry import Telemetry
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_METRICS = "monitoring.googleapis.com/uptime_check"
_SUCCESS = 2
_PLACES = {
    "USA": ("usa-iowa", "usa-oregon", "usa-virginia"),
    "EUROPE": ("eur-belgium",),
    "SOUTH_AMERICA": ("sa-brazil-sao_paulo",),
    "ASIA_PACIFIC": ("apac-singapore",),
    "USA_IOWA": ("usa-iowa",),
    "USA_OREGON": ("usa-oregon",),
    "USA_VIRGINIA": ("usa-virginia",),
}
"""By the regions that a check selects, all unless it does: https://cloud.google.com/monitoring/uptime-checks"""


class UptimeChecks(Periodic):
    """Makes the checks from `open` to `close`.

    Args:
        cloud: Where they are.
        telemetry: Where the answers are noted.
        port: Of the front door.
    """

    every_s = 1

    def __init__(self, cloud: Cloud, telemetry: Telemetry, port: int) -> None:
        super().__init__(telemetry.logbook.clock)
        self._cloud = cloud
        self._telemetry = telemetry
        self._port = port
        self._due: dict[str, float] = {}

    async def tick(self) -> None:
        """Makes those that are due."""
        now = self.clock.now().timestamp()
        for check in self._cloud.store.all(UptimeCheck.type):
            name = text(check, "name")
            if self._due.get(name, 0) <= now:
                self._due[name] = now + (seconds(check.get("period")) or 300)
                try:
                    await self.make(check)
                except Exception:  # noqa: BLE001 - the next period is another try
                    _LOG.exception("%s stumbled", name)

    async def make(self, check: Object) -> None:
        """Asks from each place."""
        regions = strings(check, "selected_regions") or [*_PLACES]
        places = {place for region in regions for place in _PLACES.get(region, ())}
        await asyncio.gather(*(self._make(check, place) for place in sorted(places)))

    async def _make(self, check: Object, place: str) -> None:
        began = time.monotonic()
        status, reason = await self._ask(check)
        latency_s, passed = time.monotonic() - began, not reason
        labels = (objects(check, "monitored_resource") or [{}])[0].get("labels")
        host = {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}
        project = host.pop("project_id", "") or text(check, "project")
        kind = text(check, "monitored_resource", 0, "type")
        source = Source(project=project, resource=kind, resource_labels=host, labels={})
        names = {
            "check_id": text(check, "uptime_check_id"),
            "checked_resource_id": host.get("host", ""),
            "checker_location": place,
        }
        self._telemetry.measure(source, f"{_METRICS}/check_passed", passed, **names)
        self._telemetry.measure(source, f"{_METRICS}/request_latency", latency_s * 1000, **names)
        if status:
            self._telemetry.measure(source, f"{_METRICS}/http_status", status, **names)
        seen: Object = {"name": text(check, "name"), "passed": passed, "reason": reason, "status": status}
        self._cloud.store.put(UPTIME, text(check, "name"), {**seen, "time": self.clock.timestamp()})

    async def _ask(self, check: Object) -> tuple[int, str]:
        """The status code of the answer, 0 for none, and why the check has failed; "" if it has not."""
        asked = objects(check, "http_check")
        if not asked:
            return 0, "only HTTP checks are made here"
        http, host = asked[0], text(check, "monitored_resource", 0, "labels", "host")
        path = f"/{text(http, 'path').lstrip('/')}"
        headers = http.get("headers")
        sent = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
        agent = "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)"
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=seconds(check.get("timeout")) or 10)) as session,
                session.request(
                    text(http, "request_method") or "GET",
                    f"http://{LOOPBACK}:{self._port}{path}",
                    data=b64decode(text(http, "body")) or None,
                    headers={"User-Agent": agent, **sent, "Host": host},
                ) as answer,
            ):
                body = await answer.text(errors="replace")
        except (ClientError, TimeoutError) as error:
            return 0, f"no answer: {type(error).__name__}"
        if not _is_accepted(answer.status, objects(http, "accepted_response_status_codes")):
            return answer.status, f"status {answer.status}"
        wrong = [matcher for matcher in objects(check, "content_matchers")[:1] if not _is_there(body, matcher)]
        return answer.status, "the content is another" if wrong else ""


def _is_accepted(status: int, accepted: list[Object]) -> bool:
    if not accepted:
        return status // 100 == _SUCCESS
    classes = {"STATUS_CLASS_ANY", f"STATUS_CLASS_{status // 100}XX"}
    return any(one.get("status_value") == status or text(one, "status_class") in classes for one in accepted)


def _is_there(body: str, matcher: Object) -> bool:
    kind, content = text(matcher, "matcher"), text(matcher, "content")
    found = re.search(content, body) is not None if "REGEX" in kind else content in body
    return found == (not kind.startswith("NOT_"))
