"""Brings the database to the schema of the image's MLflow, one instance at a time.

MLflow initializes and migrates at start under a lock of files on one machine: of two instances that start together on
an empty database one dies. Here every start holds a lock of the database until the schema is right.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.store.db import utils
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlflow_cloudrun import indexes, migration, ownership, roots, schemas
from mlflow_cloudrun.schemas import Schema

logger = logging.getLogger(__name__)

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


def refuse_other_schema(engine: Engine) -> None:
    """Checks that each schema is the one of this image's MLflow.

    Raises:
        NewerSchemaError: One is a newer one.
        OlderSchemaError: One is an older one, or there is none.
        HalfMovedError: An import did not end.
    """
    if migration.half_moved(engine):
        raise HalfMovedError("An import into this database did not end. Run it again: it begins from the start.")
    older = [schema for schema in schemas.needed() if is_older(engine, schema)]
    if older:
        found, newest = older[0].revision(engine), schemas.known_revisions(older[0])[0]
        raise OlderSchemaError(
            f"The database has {older[0].what} {found or 'none'}, and MLflow {mlflow.__version__} needs {newest}. Run "
            "db-upgrade first, or start the service, which migrates."
        )


def is_older(engine: Engine, schema: Schema) -> bool:
    """Returns whether a schema is older than the one of this image's MLflow.

    Raises:
        NewerSchemaError: It is a newer one.
    """
    found, known = schema.revision(engine), schemas.known_revisions(schema)
    if found is not None and found not in known:
        raise NewerSchemaError(
            f"The database has {schema.what} {found}, which MLflow {mlflow.__version__} does not know: a newer MLflow "
            "migrated it. Deploy the newer image again, or restore the backup that was made before the upgrade."
        )
    return found != known[0]


def upgrade(
    uri: str, *, patience_s: int, longest_s: float, served: tuple[str, ...] = (), accounts: tuple[str, ...] = ()
) -> None:
    """Creates or migrates the schema if it is not the one of this MLflow.

    Args:
        uri: SQLAlchemy URI of the database; when it does not answer, MLflow's 10 tries take about 107 s, and are made
            twice: the grant of roles/cloudsql.client may be minutes old, and a start has 240 s.
        patience_s: How long to wait for somebody else who migrates.
        longest_s: How long a migration may take by estimate.
        served: Where artifacts are; what is elsewhere is told.
        accounts: Who is to log in with tokens from the next deployment on: the tables become theirs too.

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
        if accounts:
            with locked(engine, patience_s):
                ownership.share(engine, accounts)
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
    return not any(migration.unfinished(engine, schema) for schema in schemas.needed())


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
    """Brings what is older up to date, while this process holds the lock.

    Raises:
        LongMigrationError: As above.
        BusyError: Another instance is making an index all the time.
    """
    if is_right(engine):
        return
    older = [
        (schema, schema.revision(engine))
        for schema in schemas.needed()
        if is_older(engine, schema) or migration.unfinished(engine, schema)
    ]
    pending = [
        Path(script.path)
        for schema, found in older
        for script in schema.scripts.iterate_revisions("head", found or "base")
    ]
    seconds = migration.seconds_needed(engine, pending)
    if seconds > longest_s:
        told = " and of ".join(f"{schema.what} {found}" for schema, found in older)
        raise LongMigrationError(
            f"Migrating the database from {told} may take {seconds:.0f} s, and Cloud Run gives a start 240 s. Nothing "
            "was changed. Run this image's db-upgrade as a job (docs/runbook.md, Upgrade), then deploy it again."
        )
    if not indexes.drop(engine, pending):
        raise BusyError("Another instance has been making an index all the time. Nothing was changed; start again.")
    for schema, found in older:
        newest = schemas.known_revisions(schema)[0]
        logger.info("The %s is %s; migrating it to %s", schema.what, found or "empty", newest)
        migration.run(engine, schema, found)
