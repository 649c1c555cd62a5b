"""Tells MLflow's Flask application who asks, and notes which things a request names in its query and its body."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from flask import Flask, g, request

from mlflow_cloudrun.identity import asked

NAMED = re.compile(r"(.*_)?(ids?|uuids?)|(new_)?name|version|alias|key")


def named(fields: Mapping[str, Any]) -> Iterator[object]:
    """Yields the ids and names among the fields of a query or a body."""
    for name, value in fields.items():
        if NAMED.fullmatch(name):
            for one in cast("list[object]", value) if isinstance(value, list) else [value]:
                if isinstance(one, str | int):
                    yield one


def note() -> None:
    """Does so before Flask answers."""
    current = asked.get()
    # Where MLflow's own authentication leaves the name, for the owners of review queues: mlflow.server.handlers
    g.mlflow_authenticated_user = current.by
    if current.writes:
        current.name(*named(request.args))
        body: object = request.get_json(force=True, silent=True)  # MLflow reads the same next; Werkzeug keeps it
        if isinstance(body, dict):
            current.name(*named(cast("dict[str, Any]", body)))


def install(app: Flask) -> None:
    """Does so for every request."""
    # Before MLflow's permissions, which may refuse it: app.before_request would come after.
    app.before_request_funcs.setdefault(None, []).insert(0, note)
