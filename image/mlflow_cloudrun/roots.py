"""The roots of artifacts that the database names: which are not this deployment's, and how they become so."""

# MLflow's tables have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections import Counter
from typing import Any, NamedTuple

from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun, SqlTraceTag
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION, MLFLOW_TRACE_ARCHIVE_LOCATION
from sqlalchemy import ColumnElement, Engine, func, or_, select, true, update
from sqlalchemy.orm import Session

TRACE_TAGS = (MLFLOW_ARTIFACT_LOCATION, MLFLOW_TRACE_ARCHIVE_LOCATION)


class Place(NamedTuple):
    """A column that holds locations.

    Attributes:
        only: Of which rows of its table.
        length: The longest location that it can hold.
    """

    kind: str
    table: Any
    column: Any
    only: ColumnElement[bool]
    length: int


PLACES = (
    Place("experiments", SqlExperiment, SqlExperiment.artifact_location, true(), 256),
    Place("runs", SqlRun, SqlRun.artifact_uri, true(), 200),
    Place("logged_models", SqlLoggedModel, SqlLoggedModel.artifact_location, true(), 1000),
    Place("model_versions", SqlModelVersion, SqlModelVersion.source, true(), 500),
    Place("model_versions", SqlModelVersion, SqlModelVersion.storage_location, true(), 500),
    Place("traces", SqlTraceTag, SqlTraceTag.value, SqlTraceTag.key.in_(TRACE_TAGS), 8000),
)


class TooLongError(Exception):
    """A location would not fit into its column."""


def foreign(engine: Engine, served: tuple[str, ...]) -> Counter[str]:
    """Returns the roots of experiments that are not served, and of how many each is."""
    column = SqlExperiment.artifact_location
    here = or_(*(or_(column == root, column.startswith(f"{root}/", autoescape=True)) for root in served))
    query = select(SqlExperiment.experiment_id, column).where(column.is_not(None), ~here)
    with engine.connect() as connection:
        return Counter(root_of(location, str(name)) for name, location in connection.execute(query))


def root_of(location: str, name: str) -> str:
    """Returns what a location is without the part that names its owner."""
    head, found, _ = f"{location}/".partition(f"/{name}/")
    return head if found else location


def below(place: Place, root: str) -> ColumnElement[bool]:
    """Returns the condition of locations that are at a root or below it."""
    return place.only & ((place.column == root) | place.column.startswith(f"{root}/", autoescape=True))


def rewrite(session: Session, old: str, new: str, *, dry_run: bool = False) -> Counter[str]:
    """Puts a new root into the place of an old one; returns how many locations of each kind.

    Raises:
        TooLongError: One would not fit; nothing was changed.
    """
    old, new = old.rstrip("/"), new.rstrip("/")
    changed: Counter[str] = Counter()
    for place in PLACES:
        longest = session.scalar(select(func.max(func.length(place.column))).where(below(place, old))) or 0
        if longest - len(old) + len(new) > place.length:
            raise TooLongError(
                f"{new} is too long: the locations of {place.kind} have {place.length} characters at most"
            )
    for place in PLACES:
        number = session.scalar(select(func.count()).select_from(place.table).where(below(place, old))) or 0
        if number and not dry_run:
            moved = func.concat(new, func.substr(place.column, len(old) + 1))
            values = update(place.table).where(below(place, old)).values({place.column.key: moved})
            session.execute(values.execution_options(synchronize_session=False))
        changed[place.kind] += number
    return +changed
