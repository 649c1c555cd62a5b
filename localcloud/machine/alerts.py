"""Alert policies, evaluated periodically and at each log entry: incidents open and close, mail is only logged.

Left out: notifying somebody, acknowledging, snoozing, and labels that are extracted of log entries.
https://cloud.google.com/monitoring/alerts
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from localcloud.clock import seconds
from localcloud.machine.conditions import Conditions, unevaluated
from localcloud.machine.periodic import Periodic
from localcloud.resource import stable_number
from localcloud.services.alerting import INCIDENT, AlertPolicy
from localcloud.services.logging_query import Query
from localcloud.services.monitoring import NotificationChannel
from localcloud.terraform.model import Object, at, objects, strings, text

if TYPE_CHECKING:
    from localcloud.machine.telemetry import Telemetry
    from localcloud.machine.timeseries import Labels
    from localcloud.resource import Cloud

_LOG = logging.getLogger(__name__)
_AUTO_CLOSE_S = 604_800  # https://cloud.google.com/monitoring/alerts/concepts-indepth#auto-close


class Alerts(Periodic):
    """The policies of one local cloud, looked at from `open` to `close`.

    Args:
        cloud: Where policies and incidents are.
        telemetry: What is known.
        uptime: Uptime checks are made.
    """

    every_s = 5

    def __init__(self, cloud: Cloud, telemetry: Telemetry, *, uptime: bool = False) -> None:
        super().__init__(telemetry.logbook.clock)
        self._cloud = cloud
        self._telemetry = telemetry
        self._conditions = Conditions(telemetry.series)
        self._uptime = uptime
        self._changes, self._known = -1, list[Object]()
        self._queries: dict[str, Query] = {}
        telemetry.logbook.listen(self.look_at)

    async def tick(self) -> None:
        """Evaluates them."""
        self.evaluate()

    def _policies(self) -> list[Object]:
        """Those that can be evaluated; read again when something was changed, for each request asks."""
        store = self._cloud.store
        if self._changes != store.changes:
            self._changes = store.changes
            self._known = [
                policy
                for policy in store.all(AlertPolicy.type)
                if policy.get("enabled") is not False and not unevaluated(policy, uptime=self._uptime)
            ]
        return self._known

    def look_at(self, entry: Object) -> None:
        """Opens the incidents that a log entry asks for."""
        for policy in self._policies():
            for condition in objects(policy, "conditions"):
                source = text(condition, "condition_matched_log", 0, "filter")
                if source and self._query(source).matches(entry):
                    self._open(policy, condition, (), {"entry": entry})

    def _query(self, source: str) -> Query:
        if source not in self._queries:
            self._queries[source] = Query(source)
        return self._queries[source]

    def evaluate(self) -> None:
        """Opens and closes the incidents of metrics, and closes what is old."""
        now = self.clock.now().timestamp()
        for policy in self._policies():
            found = {
                text(condition, "name"): (condition, [*self._conditions.verdicts(condition, now)])
                for condition in objects(policy, "conditions")
                if not objects(condition, "condition_matched_log")
            }
            met = {name: any(it.holds for it in verdicts) for name, (_, verdicts) in found.items()}
            together = text(policy, "combiner") != "OR"
            for condition, verdicts in found.values():
                for verdict in verdicts:
                    if verdict.holds and (not together or all(met.values())):
                        self._open(policy, condition, verdict.group, {"value": verdict.value})
                    elif verdict.holds is False:
                        self._close(policy, condition, verdict.group)
            self._close_old(policy, now)

    def _open(self, policy: Object, condition: Object, group: Labels, what: Object) -> None:
        """Opens an incident, or notes in an open one that it is still true."""
        now, name = self.clock.timestamp(), _name(condition, group)
        before = self._cloud.store.get(INCIDENT, name)
        is_open = before is not None and text(before, "state") == "OPEN"
        incident: Object = (
            before
            if before and is_open
            else {
                "condition": text(condition, "display_name"),
                "labels": dict(group),
                "name": name,
                "notifications": 0,
                "opened": now,
                "policy": text(policy, "name"),
                "policyName": text(policy, "display_name"),
                "severity": text(policy, "severity"),
                "state": "OPEN",
            }
        )
        incident |= {**what, "last": now}
        limit = seconds(at(policy, "alert_strategy", 0, "notification_rate_limit", 0, "period"))
        notified = text(incident, "notified")
        if not is_open or (limit and notified and _age(notified, now) >= limit):
            incident |= {"notifications": int(str(incident["notifications"])) + 1, "notified": now}
            _LOG.warning("ALERT %s: %s; notifies %s", *self._headline(policy, condition))
        self._cloud.store.put(INCIDENT, name, incident)

    def _headline(self, policy: Object, condition: Object) -> tuple[str, str, str]:
        channels = (
            self._cloud.store.get(NotificationChannel.type, it) for it in strings(policy, "notification_channels")
        )
        who = [text(it, "labels", "email_address") or text(it, "display_name") for it in channels if it]
        return text(policy, "display_name"), text(condition, "display_name"), ", ".join(who) or "nobody"

    def _close(self, policy: Object, condition: Object, group: Labels) -> None:
        name = _name(condition, group)
        incident = self._cloud.store.get(INCIDENT, name)
        if incident and text(incident, "state") == "OPEN":
            self._end(policy, incident)

    def _end(self, policy: Object, incident: Object) -> None:
        closed: Object = {"closed": self.clock.timestamp(), "state": "CLOSED"}
        self._cloud.store.put(INCIDENT, text(incident, "name"), incident | closed)
        _LOG.info("alert %s: %s is over", text(policy, "display_name"), text(incident, "condition"))

    def _close_old(self, policy: Object, now: float) -> None:
        """Closes what nothing was heard of for so long: https://cloud.google.com/monitoring/alerts/log-based-incidents."""
        strategy = (objects(policy, "alert_strategy") or [{}])[0]
        longest = seconds(strategy.get("auto_close")) or _AUTO_CLOSE_S
        for incident in self._cloud.store.all(INCIDENT):
            is_its = text(incident, "policy") == text(policy, "name") and text(incident, "state") == "OPEN"
            if is_its and now - datetime.fromisoformat(text(incident, "last")).timestamp() >= longest:
                self._end(policy, incident)


def _name(condition: Object, group: Labels) -> str:
    return f"{text(condition, 'name')}/incidents/{stable_number(text(condition, 'name'), str(group), digits=12)}"


def _age(since: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
