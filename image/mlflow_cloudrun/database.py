"""Brings the database to the schema of the image's MLflow, one instance at a time.

MLflow initializes and migrates at start under a lock of files on one machine: of two instances that start together on
an empty database one dies. Here every start holds a lock of the database until the schema is right.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.db import upgrade as mlflow_db_upgrade
from mlflow.store.db import utils
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

MIGRATIONS = Path(utils.__file__).parents[1] / "db_migrations"
LOCK_NUMBER = 653_569  # arbitrary; every instance, of every version of the image, must use the same
LOCK_NAME = "mlflow-schema"
LOCK_TIMEOUT_S = 200  # below Cloud Run's 240 s for a start


class NewerSchemaError(Exception):
    """The database was migrated by a newer MLflow than this image holds."""


@contextmanager
def locked(engine: Engine) -> Generator[None]:
    """Holds the database's advisory lock; it goes with the connection, so a killed instance never keeps it.

    Raises:
        TimeoutError: Another instance held the lock for longer than LOCK_TIMEOUT_S.
        sqlalchemy.exc.DBAPIError: The same on PostgreSQL, or the connection broke.
    """
    # https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    # https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": LOCK_NUMBER})
        elif not connection.scalar(
            text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK_NAME, "seconds": LOCK_TIMEOUT_S}
        ):
            raise TimeoutError(f"another instance migrates the database since {LOCK_TIMEOUT_S} s")
        try:
            yield
        finally:
            connection.invalidate()


def current_revision(engine: Engine) -> str | None:
    """Returns the schema's revision; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(uri: str) -> None:
    """Creates or migrates the schema if it is not the one of this MLflow.

    Args:
        uri: SQLAlchemy URI of the database; when it does not answer, MLflow's 10 tries take about 107 s, and are made
            twice: the grant of roles/cloudsql.client may be minutes old, and a start has 240 s.

    Raises:
        NewerSchemaError: The schema is of a newer MLflow; nothing was changed.
    """
    engine = _connected(uri)
    try:
        migrate(engine, uri)
    finally:
        engine.dispose()


def _connected(uri: str) -> Engine:
    # A login without the role fails like any other, and for minutes after the role was granted:
    # https://cloud.google.com/iam/docs/access-change-propagation
    try:
        return utils.create_sqlalchemy_engine_with_retry(uri)  # pyright: ignore[reportUnknownMemberType]
    except SQLAlchemyError:
        logger.warning("The database does not answer; trying as long once more, for a grant may still take effect")
        return utils.create_sqlalchemy_engine_with_retry(uri)  # pyright: ignore[reportUnknownMemberType]


def migrate(engine: Engine, uri: str) -> None:
    """The same, under the lock.

    Raises:
        NewerSchemaError: As above.
    """
    with locked(engine):
        found = current_revision(engine)
        scripts = ScriptDirectory(str(MIGRATIONS))
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise NewerSchemaError(
                f"The database has schema {found}, which MLflow {mlflow.__version__} does not know: a newer MLflow "
                "migrated it. Deploy the newer image again, or restore the backup that was made before the upgrade."
            )
        if found == scripts.get_current_head():
            return
        logger.info("The schema is %s; migrating it to %s", found or "empty", scripts.get_current_head())
        mlflow_db_upgrade.main([uri], standalone_mode=False)
