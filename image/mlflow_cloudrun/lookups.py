"""Saves MLflow's permissions from asking the database for the same thing again and again.

They look the person up two to four times a request. To learn which experiment a run belongs to, they read all of the
run, with its metrics, parameters and tags, at each metric that is logged.
"""

# MLflow's permissions have no types.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from mlflow.utils.workspace_context import get_request_workspace

from mlflow_cloudrun.identity import asked

RUNS = 10_000  # some 2 MiB


def install(auth: Any) -> None:  # noqa: ANN401  MLflow's module
    """Does so."""
    auth.store.get_user = once_a_request(auth.store.get_user)
    auth._fetch_or_none = without_reading_runs(auth._fetch_or_none)  # noqa: SLF001


def once_a_request(get_user: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wraps a lookup of users: what it found holds for the rest of the request."""

    def get(email: str) -> Any:  # noqa: ANN401
        request = asked.get(None)
        if request is None:
            return get_user(email)
        if email not in request.users:
            request.users[email] = get_user(email)
        return request.users[email]

    return get


def without_reading_runs(fetch: Callable[[Callable[[str], Any], str], Any]) -> Callable[..., Any]:
    """Wraps MLflow's lookup of a thing by its id, which for runs wants the experiment alone: a run never changes it.

    A run of one workspace is none in another, and MLflow's lookup says so.
    """

    class MissingError(Exception):
        """There is no such run, today."""

    @lru_cache(RUNS)
    def experiment_of(get_run: Callable[[str], Any], run: str, _: str | None) -> str:
        if (found := fetch(get_run, run)) is None:
            raise MissingError
        return str(found.info.experiment_id)

    def fetch_less(get: Callable[[str], Any], name: str) -> Any:  # noqa: ANN401
        if getattr(get, "__name__", "") != "get_run":
            return fetch(get, name)
        try:
            return SimpleNamespace(
                info=SimpleNamespace(experiment_id=experiment_of(get, name, get_request_workspace()))
            )
        except MissingError:
            return None

    return fetch_less
