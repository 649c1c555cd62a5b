"""Brings the database to the schema of the image's MLflow, one instance at a time.

MLflow initializes and migrates at start under a lock of files on one machine: of two instances that start together on
an empty database one dies. Here every start holds a lock of the database until the schema is right.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import mlflow
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlflow_cloudrun import migration, roots

logger = logging.getLogger(__name__)

MIGRATIONS = Path(utils.__file__).parents[1] / "db_migrations"
LOCK_NUMBER = 653_569  # arbitrary; every instance, of every version of the image, must use the same
LOCK_NAME = "mlflow-schema"
ROOTS_TOLD = 5
LOCK_NOT_AVAILABLE = "55P03"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class NewerSchemaError(Exception):
    """The database was migrated by a newer MLflow than this image holds."""


class OlderSchemaError(Exception):
    """The database has the schema of an older MLflow than this image holds, or none."""


class HalfMovedError(Exception):
    """The database holds a part of what was to be imported."""


class LongMigrationError(Exception):
    """The migration might not end within the time that a start has."""


class BusyError(Exception):
    """Somebody else held the lock all the time."""


def take_lock(connection: Connection, seconds: int) -> None:
    """Takes the database's advisory lock; it goes with the connection, so a killed process never keeps it.

    Raises:
        BusyError: Somebody else held it for all of these seconds.
    """
    # https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    # https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
    try:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": f"{seconds}s"})
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": LOCK_NUMBER})
            taken = True
        else:
            taken = connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK_NAME, "seconds": seconds})
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", "") != LOCK_NOT_AVAILABLE:
            raise
        taken = False
    if not taken:
        raise BusyError(
            f"Another instance or job has held the database's lock for {seconds} s: it is migrating or collecting. "
            "Nothing was changed; start again when it has finished."
        )
    connection.commit()


def give_lock_back(connection: Connection) -> None:
    """Gives the lock back to whoever waits for it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": LOCK_NUMBER})
    else:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK_NAME})
    connection.commit()


@contextmanager
def locked(engine: Engine, seconds: int) -> Generator[None]:
    """Holds the lock on a connection of its own.

    Raises:
        BusyError: As above.
    """
    with engine.connect() as connection:
        take_lock(connection, seconds)
        try:
            yield
        finally:
            connection.invalidate()


def current_revision(engine: Engine) -> str | None:
    """Returns the schema's revision; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def known_revisions() -> tuple[str, ...]:
    """Returns the revisions of this image's MLflow, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def refuse_other_schema(engine: Engine) -> None:
    """Checks that the schema is the one of this image's MLflow.

    Raises:
        NewerSchemaError: It is a newer one.
        OlderSchemaError: It is an older one, or there is none.
        HalfMovedError: An import did not end.
    """
    if migration.half_moved(engine):
        raise HalfMovedError("An import into this database did not end. Run it again: it begins from the start.")
    found = current_revision(engine)
    if found == known_revisions()[0]:
        return
    if found is not None and found not in known_revisions():
        raise NewerSchemaError(
            f"The database has schema {found}, which MLflow {mlflow.__version__} does not know: a newer MLflow "
            "migrated it. Deploy the newer image again, or restore the backup that was made before the upgrade."
        )
    raise OlderSchemaError(
        f"The database has schema {found or 'none'}, and MLflow {mlflow.__version__} needs {known_revisions()[0]}. Run "
        "db-upgrade first, or start the service, which migrates."
    )


def upgrade(uri: str, *, patience_s: int, longest_s: float, served: tuple[str, ...] = ()) -> None:
    """Creates or migrates the schema if it is not the one of this MLflow.

    Args:
        uri: SQLAlchemy URI of the database; when it does not answer, MLflow's 10 tries take about 107 s, and are made
            twice: the grant of roles/cloudsql.client may be minutes old, and a start has 240 s.
        patience_s: How long to wait for somebody else who migrates.
        longest_s: How long a migration may take by estimate.
        served: Where artifacts are; what is elsewhere is told.

    Raises:
        NewerSchemaError: The schema is of a newer MLflow; nothing was changed.
        LongMigrationError: It might take longer; nothing was changed.
        BusyError: Somebody else still migrates; nothing was changed.
    """
    engine = connected(uri)
    try:
        # A schema that is right needs no lock: no start waits for a job.
        if not is_right(engine):
            with locked(engine, patience_s):
                migrate(engine, longest_s)
        if served:
            warn_of_foreign_roots(engine, served)
    finally:
        engine.dispose()


def warn_of_foreign_roots(engine: Engine, served: tuple[str, ...]) -> None:
    """Says of which experiments this deployment cannot open the files, and what to do."""
    if found := roots.foreign(engine, served):
        told = ", ".join(f"{root} ({number})" for root, number in found.most_common(ROOTS_TOLD))
        logger.warning(
            "Experiments keep their artifacts where this deployment does not: %s. Copy them into the bucket (gcloud "
            "storage cp --recursive) and run this image as a job with: rewrite-roots --root=%s=%s/FOLDER",
            told,
            next(iter(found)),
            served[0],
        )


def is_right(engine: Engine) -> bool:
    """Returns whether the schema is the one of this image's MLflow; an older one is not.

    Raises:
        NewerSchemaError: It is a newer one.
    """
    try:
        refuse_other_schema(engine)
    except OlderSchemaError:
        return False
    return not migration.unfinished(engine)


def connected(uri: str) -> Engine:
    """Returns an engine whose database has answered; tries for about 214 s."""
    # A login without the role fails like any other, and for minutes after the role was granted:
    # https://cloud.google.com/iam/docs/access-change-propagation
    try:
        return utils.create_sqlalchemy_engine_with_retry(uri)  # pyright: ignore[reportUnknownMemberType]
    except SQLAlchemyError:
        logger.warning("The database does not answer; trying as long once more, for a grant may still take effect")
        return utils.create_sqlalchemy_engine_with_retry(uri)  # pyright: ignore[reportUnknownMemberType]


def migrate(engine: Engine, longest_s: float) -> None:
    """Brings an older schema up to date, while this process holds the lock.

    Raises:
        LongMigrationError: As above.
    """
    if is_right(engine):
        return
    found = current_revision(engine)
    pending = ScriptDirectory(str(MIGRATIONS)).iterate_revisions("head", found or "base")
    seconds = migration.seconds_needed(engine, [Path(script.path) for script in pending])
    if seconds > longest_s:
        raise LongMigrationError(
            f"Migrating the database from schema {found} to {known_revisions()[0]} may take {seconds:.0f} s, and Cloud "
            "Run gives a start 240 s. Nothing was changed. Run this image's db-upgrade as a job (docs/runbook.md, "
            "Upgrade), then deploy it again."
        )
    logger.info("The schema is %s; migrating it to %s", found or "empty", known_revisions()[0])
    migration.run(engine, found)
