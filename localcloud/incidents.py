"""The incidents that a local cloud's alert policies have raised, for a person or a program to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.machine.conditions import unevaluated
from localcloud.terraform.model import Object, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcloud.store import Store


def incidents(store: Store, *, closed: bool) -> list[Object]:
    """Returns the open incidents, the oldest first, and with `closed` also the others."""
    found = [it for it in store.all("monitoring.incident") if closed or text(it, "state") == "OPEN"]
    return sorted(found, key=lambda it: text(it, "opened"))


def lines(store: Store, found: Sequence[Object], form: str) -> Iterator[str]:
    """Describes incidents.

    Args:
        store: where the policies are.
        found: the incidents.
        form: `json`, or `table` for a line each, with one for each policy that is not evaluated.
    """
    if form == "json":
        yield json.dumps(found, indent=2)
        return
    for it in found:
        entry = it.get("entry")
        what = f"value {it.get('value')}" if entry is None else json.dumps(entry)
        yield f"{text(it, 'state'):6} since {text(it, 'opened')[:19]}Z  {text(it, 'policyName')}: {what}"
    uptime = bool(store.all("monitoring.uptime"))  # some check was made
    for policy in store.all("google_monitoring_alert_policy"):
        reason = "it is disabled" if policy.get("enabled") is False else unevaluated(policy, uptime=uptime)
        if reason:
            yield f"not evaluated: {text(policy, 'display_name')}: {reason}"
