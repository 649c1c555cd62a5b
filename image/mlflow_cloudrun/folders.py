"""Whose files a location names: with permissions, nobody writes down where files are that they may not read.

The server opens whatever the version of a model or a trace names, and asks who may read that version. Its location may
be chosen: that of another experiment would be read through it. An experiment's folder is the longest that holds it.
"""

# MLflow's stores have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from mlflow.store.tracking.dbmodels.models import SqlExperiment
from sqlalchemy import func, literal, or_, select

from mlflow_cloudrun import permissions
from mlflow_cloudrun.identity import asked


class Folder(NamedTuple):
    """An experiment's folder, without a slash at its end."""

    experiment: str
    place: str


def may_name(location: str, *, new: bool = False) -> bool:
    """Returns whether who asks may write a location down: nothing of others' is at it, above it or below it.

    Args:
        location: One that this deployment serves (locations.py).
        new: Whether it is to be the folder of a new experiment, and not in one that is there.
    """
    here, request = permissions.here(), asked.get(None)
    if here is None or request is None or request.by in here.admins:
        return True
    location = location.rstrip("/")
    found = near(location)
    above = [folder for folder in found if is_in(location, folder.place)]
    below = [folder for folder in found if folder not in above]
    if new:
        return may_read((*above, *below))
    deepest = max((len(folder.place) for folder in above), default=0)
    around = [folder for folder in above if len(folder.place) == deepest]
    ours = is_in(location, os.environ["DEFAULT_ARTIFACT_ROOT"].rstrip("/"))
    return bool(around or not ours) and may_read((*around, *below))


def is_in(location: str, folder: str) -> bool:
    """Returns whether a location is a folder or in it."""
    return f"{location}/".startswith(f"{folder}/")


def near(location: str) -> list[Folder]:
    """Returns the experiments' folders, in whatever workspace, that a location is in, or that are in it."""
    from mlflow.server.handlers import _get_tracking_store  # noqa: PLC0415  the server's, which is made at its start

    place: Any = SqlExperiment.artifact_location
    holds = func.substr(literal(f"{location}/"), 1, func.length(place) + 1) == func.concat(place, "/")
    query = select(SqlExperiment.experiment_id, place).where(
        or_(holds, place == location, place.startswith(f"{location}/", autoescape=True))
    )
    store: Any = _get_tracking_store()
    with store.ManagedSessionMaker() as session:
        rows = [Folder(str(experiment), str(found).rstrip("/")) for experiment, found in session.execute(query)]
    return [one for one in rows if is_in(location, one.place) or is_in(one.place, location)]  # MySQL ignores case


def may_read(folders: Iterable[Folder]) -> bool:
    """Returns whether who asks may read all of some experiments; those of another workspace nobody may."""
    from mlflow.server import auth  # noqa: PLC0415  reads its configuration when it is imported

    return all(
        auth._get_experiment_permission(one.experiment, asked.get().by).can_read  # noqa: SLF001
        for one in folders
    )
