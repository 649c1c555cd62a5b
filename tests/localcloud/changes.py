"""A plan as a person reviews it: what happens to which resource, and every value that differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.differences import leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN = "(known after apply)"


def reviewable(plan: dict[str, Any]) -> dict[str, Any]:
    """The changes of a plan (`terraform show -json`): counts by action, then one entry a resource, sorted.

    A new resource shows every value that is set, a changed one [before, after] of what differs, and a replaced one also
    the attributes that force it. Values that the apply will assign are listed by their paths.
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
    before, after, unknown = (change[name] or {} for name in ("before", "after", "after_unknown"))
    told: dict[str, Any] = {"actions": " then ".join(change["actions"])}
    if "replace_paths" in change:
        told["because_of"] = sorted(".".join(map(str, path)) for path in change["replace_paths"])
    if not after:
        return told
    after = _with_unknown(after, unknown)
    differences = dict(_differences(before, after)) if before else _set(after)
    unassigned = {path for path, value in differences.items() if _is_unknown(value)}
    told["known_after_apply"] = sorted(unassigned)
    told["values"] = {
        path: value
        for path, value in sorted(differences.items())
        if path not in unassigned
        and not path.startswith(tuple(f"{parent}{end}" for parent in unassigned for end in ".["))
    }
    return told


def _is_unknown(value: Any) -> bool:
    return (value[-1] if isinstance(value, list) else value) == _UNKNOWN


def _set(value: Any) -> dict[str, Any]:
    """Every value that is set, by its path."""
    return {path: one for path, one in leaves(value) if one not in (None, {}, [])}


def _differences(before: Any, after: Any) -> Iterator[tuple[str, Any]]:
    """[before, after] of every value that differs, by its path."""
    old, new = _set(before), _set(after)
    for name in {*old, *new}:
        if old.get(name) != new.get(name):
            yield name, [old.get(name), new.get(name)]


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return _UNKNOWN
    if isinstance(unknown, dict):
        value = value or {}
        return {name: _with_unknown(value.get(name), unknown.get(name)) for name in {*value, *unknown}}
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(item, known) for item, known in zip(value, unknown, strict=True)]
    return value
