"""Reads routes.toml, MLflow's features and their routes, with the standard library only: the docs are made with it."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "routes.toml"
API, AJAX = "/api/", "/ajax-api/"
PREFIXES = {"rest": (API, AJAX), "page": (AJAX,), "paths": ("",)}


@dataclass(frozen=True, slots=True)
class Feature:
    """A part of MLflow: whether it is on, what it can reach, and why; see the head of routes.toml.

    Attributes:
        switch: The variable that switches it on; empty for what nothing switches on.
        setting: The setting of the deployment that does, such as `service.webhooks`.
        routes: Pairs of a method and a path template.
    """

    name: str
    on: bool
    switch: str
    setting: str
    reach: tuple[str, ...]
    why: str
    routes: tuple[tuple[str, str], ...]


def routes_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields a method and a template for each route of an entry of the table."""
    for key, prefixes in PREFIXES.items():
        for line in entry.get(key, []):
            *methods, path = line.split()
            yield from ((method, prefix + path) for prefix in prefixes for method in methods)


def is_on(switch: str) -> bool:
    """Whether this process's environment switches something on."""
    return os.environ.get(switch, "").lower() == "true"  # MLflow writes True


@cache
def features() -> tuple[Feature, ...]:
    """Returns the table, as it is where nothing is switched on."""
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["feature"]
    return tuple(
        Feature(
            entry["name"],
            entry["on"],
            entry.get("switch", ""),
            entry.get("setting", ""),
            tuple(entry["reach"]),
            entry["why"],
            tuple(routes_of(entry)),
        )
        for entry in entries
    )


def features_here() -> tuple[Feature, ...]:
    """Returns the table, as it is with the switches of this process's environment."""
    return tuple(replace(feature, on=feature.on or is_on(feature.switch)) for feature in features())


def graphql_operations() -> dict[str, list[str]]:
    """Returns the operations of /graphql: of queries, of mutations, and the refused ones of both."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))["graphql"]
