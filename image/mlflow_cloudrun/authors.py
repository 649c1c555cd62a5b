"""Every thing in the database carries the address that the gate saw, whatever the client claims.

MLflow stores whom the client names: in its tag `mlflow.user`, in `user_id`, `created_by`, the source of an assessment.
Here these are written from the request's identity when a session of MLflow's writes the thing; what the client claimed
is kept beside, as `client.user`. Nothing that a client sends sets, changes or deletes the tag later.

It is done where MLflow's objects become rows, not in the methods of its stores: there are some sixty of these, and
`log_spans` and `start_trace` write a thing and its tags in one transaction, which no other class can join.
https://docs.sqlalchemy.org/en/21/orm/session_events.html

Jobs do not install it: what is imported stays as it was.
"""

# MLflow's mapped classes have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels import models as registry
from mlflow.store.tracking.dbmodels import models as tracking
from mlflow.utils.mlflow_tags import MLFLOW_USER
from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from mlflow_cloudrun.identity import Asked, asked

CLAIM = "client.user"
REFUSED = (
    f"{MLFLOW_USER} is the address that signed in. The server writes it; it can be neither set, changed nor deleted. "
    f"Use another tag, such as {CLAIM}."
)
# A trace comes in parts, and each may claim somebody: the claim is no reason to lose the trace.
EXPORTS = frozenset(
    {
        *(
            "POST /v1/traces",
            "POST 3.0/mlflow/traces",
            "POST 2.0/mlflow/traces",
            "PATCH 2.0/mlflow/traces/{request_id}",
        ),
    }
)
CREATORS, UPDATER = ("user_id", "created_by"), "last_updated_by"
# MLflow's own owners: it takes them from the request itself (mentions.py), and lets an owner hand a queue on.
OWNED = (tracking.SqlReviewQueue, tracking.SqlReviewQueueUser)


@dataclass(frozen=True, slots=True)
class Tags:
    """A table of tags.

    Attributes:
        thing: The class of what is tagged.
        collection: Its attribute that holds the tags.
        key: The column of a tag's name.
        value: The column of its value.
    """

    thing: type
    collection: str
    key: str = "key"
    value: str = "value"


TAGS: dict[type, Tags] = {
    tracking.SqlExperimentTag: Tags(tracking.SqlExperiment, "tags"),
    tracking.SqlTag: Tags(tracking.SqlRun, "tags"),
    tracking.SqlLoggedModelTag: Tags(tracking.SqlLoggedModel, "tags", "tag_key", "tag_value"),
    tracking.SqlTraceTag: Tags(tracking.SqlTraceInfo, "tags"),
    tracking.SqlTraceMetadata: Tags(tracking.SqlTraceInfo, "request_metadata"),
    tracking.SqlEvaluationDatasetTag: Tags(tracking.SqlEvaluationDataset, "tags"),
    tracking.SqlMCPServerTag: Tags(tracking.SqlMCPServer, "tags"),
    tracking.SqlMCPServerVersionTag: Tags(tracking.SqlMCPServerVersion, "version_tags"),
    registry.SqlRegisteredModelTag: Tags(registry.SqlRegisteredModel, "registered_model_tags"),
    registry.SqlModelVersionTag: Tags(registry.SqlModelVersion, "model_version_tags"),
}
"""Where the tags of things are; a test compares it with MLflow's tables."""


def columns_of(kind: type) -> tuple[str, ...]:
    """Returns the columns of a class that name who made a thing, and who changed it last."""
    return tuple(name for name in (*CREATORS, UPDATER) if name in inspect(kind).columns and kind not in OWNED)


def kinds_of_tags(thing: type) -> tuple[type, ...]:
    """Returns the classes of a thing's tags."""
    return tuple(kind for kind, tags in TAGS.items() if tags.thing is thing)


KINDS: dict[type, tuple[str, ...]] = {
    mapper.class_: columns_of(mapper.class_)
    for mapper in Base.registry.mappers
    if columns_of(mapper.class_) or kinds_of_tags(mapper.class_)
}
"""The things that carry who made them, with their columns; assessments have a module of their own."""


def is_ours(key: object) -> bool:
    """Returns whether a tag's name is the reserved one; to MySQL, neither case nor blanks at the end matter."""
    return str(key).strip().casefold() == MLFLOW_USER


def refusal() -> MlflowException:
    """Returns the error for who would write the tag."""
    return MlflowException(REFUSED, PERMISSION_DENIED)


def key_of(row: Any) -> Iterator[object]:  # noqa: ANN401
    """Yields what identifies a thing; its workspace is the request's."""
    for column in inspect(type(row)).primary_key:
        if column.key != "workspace":
            yield getattr(row, column.key)


def on_pending(session: Session, row: Any) -> None:  # noqa: ANN401
    """Writes who asks on a new thing as soon as a session has it: MLflow answers before it writes.

    Raises:
        LookupError: Nobody asks: MLflow writes on a thread that does not know for whom.
    """
    if type(row) in KINDS:
        sign(session, row, list(session.new), asked.get())


def before_flush(session: Session, *_: object) -> None:
    """Writes who asks on what a session is about to write, with what came to a thing since it was pending.

    Raises:
        LookupError: Nobody asks: MLflow writes on a thread that does not know for whom.
        MlflowException: The request would write the tag itself.
    """
    new = list(session.new)
    for row in new:
        if type(row) in KINDS:
            sign(session, row, new, asked.get())
    for row in new:
        if type(row) in TAGS and row in session and is_ours(getattr(row, TAGS[type(row)].key)):
            leave(session, row, getattr(row, TAGS[type(row)].value))
            session.expunge(row)
    for row in list(session.dirty):
        if type(row) in TAGS:
            keep_tag(session, row)
        elif type(row) in KINDS and session.is_modified(row):
            keep_creator(row, asked.get())
    check_deleted(list(session.deleted))


def check_deleted(deleted: list[Any]) -> None:
    """Notes what goes; the tag goes with its thing alone.

    Raises:
        MlflowException: The request would delete the tag.
    """
    for row in deleted:
        tags = TAGS.get(type(row))
        if tags and is_ours(getattr(row, tags.key)) and not any(isinstance(it, tags.thing) for it in deleted):
            raise refusal()
        if type(row) in KINDS:
            asked.get().name(*key_of(row))


def after_flush(session: Session, *_: object) -> None:
    """Notes what a session has made; the database has numbered it by now."""
    for row in session.new:
        if type(row) in KINDS:
            asked.get().name(*key_of(row))


def sign(session: Session, row: Any, new: list[Any], request: Asked) -> None:  # noqa: ANN401
    """Writes on a new thing who made it, and what the client claimed."""
    claims = [getattr(row, column) for column in KINDS[type(row)]]
    for column in KINDS[type(row)]:
        setattr(row, column, request.by)
    for kind in kinds_of_tags(type(row)):
        tags = TAGS[kind]
        held = getattr(row, tags.collection)
        own = [*held, *(tag for tag in new if type(tag) is kind and tag not in held and belongs(tag, row))]
        claiming = [tag for tag in own if is_ours(getattr(tag, tags.key))]
        for tag in claiming:
            if tag in held:
                held.remove(tag)
            if tag in session:
                session.expunge(tag)
        add_tag(row, kind, MLFLOW_USER, request.by)
        texts = [getattr(tag, tags.value) for tag in claiming] or claims
        claim = next((text for text in texts if text and text != request.by), None)
        if claim and CLAIM not in {getattr(tag, tags.key) for tag in own}:
            add_tag(row, kind, CLAIM, claim)
    if isinstance(row, tracking.SqlEvaluationDatasetRecord):
        sign_record(row, request)


def belongs(tag: Any, thing: Any) -> bool:  # noqa: ANN401
    """Returns whether a tag that is not written yet, and in no collection, is a thing's."""
    table = inspect(type(thing)).local_table
    links = [link for link in inspect(type(tag)).local_table.foreign_keys if link.column.table is table]
    return all(getattr(tag, link.parent.key) == getattr(thing, link.column.key) for link in links)


def add_tag(thing: Any, kind: type, key: str, value: str) -> None:  # noqa: ANN401
    """Gives a thing that is not written yet a tag, with as much of its key as is known."""
    tags = TAGS[kind]
    columns = {column.key for column in inspect(kind).columns} - {tags.key, tags.value}
    shared = {name: getattr(thing, name) for name in columns if getattr(thing, name, None) is not None}
    getattr(thing, tags.collection).append(kind(**shared, **{tags.key: key, tags.value: value}))


def keep_tag(session: Session, row: Any) -> None:  # noqa: ANN401
    """Sees to it that a tag which names who made a thing stays as it is.

    Raises:
        MlflowException: The request would change it.
    """
    tags = TAGS[type(row)]
    key, value = (inspect(row).attrs[name].history for name in (tags.key, tags.value))
    if not (key.has_changes() or value.has_changes()):
        return
    if not any(is_ours(text) for text in (*key.deleted, *key.unchanged, *key.added)):
        return
    leave(session, row, getattr(row, tags.value))
    session.refresh(row)


def leave(session: Session, row: Any, claim: object) -> None:  # noqa: ANN401
    """Refuses a claim to who made a thing that is there; that of a part of a trace is kept beside instead.

    Raises:
        MlflowException: It is no part of a trace.
    """
    tags = TAGS[type(row)]
    if tags.thing is not tracking.SqlTraceInfo or asked.get().operation not in EXPORTS:
        raise refusal()
    place = {column.key: getattr(row, column.key) for column in inspect(type(row)).primary_key} | {tags.key: CLAIM}
    if claim and claim != asked.get().by and session.get(type(row), place) is None:
        session.add(type(row)(**place, **{tags.value: claim}))


def keep_creator(row: Any, request: Asked) -> None:  # noqa: ANN401
    """Sees to it that who made a thing stays, and notes who changes it; MLflow empties both where it deletes."""
    request.name(*key_of(row))
    for column in KINDS[type(row)]:
        history = inspect(row).attrs[column].history
        if column == UPDATER:
            setattr(row, column, request.by)
        elif history.deleted and any(history.added):
            setattr(row, column, history.deleted[0])
    if isinstance(row, tracking.SqlEvaluationDatasetRecord):
        sign_record(row, request)


def sign_record(row: Any, request: Asked) -> None:  # noqa: ANN401
    """Puts right the tag in a dataset's record, with which clients name who wrote it last."""
    if isinstance(row.tags, dict) and row.tags.get(MLFLOW_USER, request.by) != request.by:
        row.tags = {**row.tags, CLAIM: row.tags[MLFLOW_USER], MLFLOW_USER: request.by}


def install() -> None:
    """Holds every session of this process to it."""
    event.listen(Session, "transient_to_pending", on_pending)
    event.listen(Session, "before_flush", before_flush)
    event.listen(Session, "after_flush", after_flush)
