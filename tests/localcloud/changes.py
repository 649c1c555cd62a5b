"""A plan as a person reviews it: what happens to which resource, and every value that differs."""

from __future__ import annotations

from typing import Any

_UNKNOWN = "(known after apply)"


def reviewable(plan: dict[str, Any]) -> dict[str, Any]:
    """The changes of a plan (`terraform show -json`): counts by action, then one entry a resource, sorted.

    A new resource shows every value that is set, a changed one shows [before, after] of what differs, and a replaced one
    also the attributes that force it.
    """
    changes = {change["address"]: change["change"] for change in plan.get("resource_changes", [])}
    told = {address: _told(change) for address, change in sorted(changes.items()) if change["actions"] != ["no-op"]}
    counts: dict[str, int] = {}
    for change in told.values():
        counts[change["actions"]] = counts.get(change["actions"], 0) + 1
    return {"counts": dict(sorted(counts.items())), "resources": told}


def actions(plan: dict[str, Any]) -> dict[str, str]:
    """What happens to each resource that does not stay as it is."""
    return {address: change["actions"] for address, change in reviewable(plan)["resources"].items()}


def _told(change: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"actions": " then ".join(change["actions"])}
    before, after, unknown = (change[name] or {} for name in ("before", "after", "after_unknown"))
    after = _with_unknown(after, unknown)
    if not before:
        told["values"] = _set(after)
    elif after:
        names = sorted({*before, *after})
        told["changes"] = {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}
    if "replace_paths" in change:
        told["because_of"] = change["replace_paths"]
    return told


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return _UNKNOWN
    if isinstance(unknown, dict):
        value = value or {}
        return {name: _with_unknown(value.get(name), unknown.get(name)) for name in {*value, *unknown}}
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(item, known) for item, known in zip(value, unknown, strict=True)]
    return value


def _set(value: Any) -> Any:
    """A value without what is unset: null, empty lists and empty maps."""
    if isinstance(value, dict):
        return {name: kept for name, item in sorted(value.items()) if (kept := _set(item)) not in (None, [], {})}
    if isinstance(value, list):
        return [_set(item) for item in value]
    return value
