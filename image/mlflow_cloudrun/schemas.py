"""The schemas that MLflow migrates in the one database: that of its stores, and that of its permissions."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import Engine, Table, event

from mlflow_cloudrun.permissions import VARIABLE

MLFLOW = Path(mlflow.__file__).parent


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables with a history of their own.

    Attributes:
        what: What a message calls it.
        folder: Where MLflow has its migrations.
        version_table: Where the database keeps its revision.
        journal: Where migration.py notes what it has done; MLflow takes no table of this prefix for one of its own.
        upgrade: Migrates to the newest revision; the other argument is today's.
    """

    what: str
    folder: Path
    version_table: str
    journal: str
    upgrade: Callable[[Engine, str | None], None]

    def revision(self, engine: Engine) -> str | None:
        """Returns the database's revision; None where there is none of it."""
        with engine.connect() as connection:
            return MigrationContext.configure(
                connection, opts={"version_table": self.version_table}
            ).get_current_revision()

    @property
    def scripts(self) -> ScriptDirectory:
        """MLflow's migrations."""
        return ScriptDirectory(str(self.folder))


@cache
def known_revisions(schema: Schema) -> tuple[str, ...]:
    """Returns the revisions of this image's MLflow, the newest first."""
    return tuple(script.revision for script in schema.scripts.walk_revisions())


def upgrade_stores(engine: Engine, revision: str | None) -> None:
    """Migrates as MLflow does."""
    if revision is None:
        InitialBase.metadata.create_all(engine)  # those that are not there yet
    utils._upgrade_db(engine)  # noqa: SLF001  # pyright: ignore[reportUnknownMemberType, reportPrivateUsage]


def upgrade_permissions(engine: Engine, _: str | None) -> None:
    """Migrates on a connection of this engine; MLflow's own environment for it would open one by the database's URL."""
    schema = PERMISSIONS
    scripts = schema.scripts

    def revisions(found: Any, _: object) -> Any:  # noqa: ANN401  alembic's
        return scripts._upgrade_revs("head", found)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    on_mysql = engine.dialect.name == "mysql"
    if on_mysql:
        event.listen(Table, "before_create", name_apart)
    try:
        with engine.connect() as connection, EnvironmentContext(Config(), scripts, fn=revisions) as environment:
            environment.configure(connection=connection, version_table=schema.version_table)
            with environment.begin_transaction():
                environment.run_migrations()
            connection.commit()
    finally:
        if on_mysql:
            event.remove(Table, "before_create", name_apart)


def name_apart(table: Any, *_: object, **__: object) -> None:  # noqa: ANN401
    """Puts the name of its table into that of a foreign key: MLflow has one name twice, which MySQL does not take.

    https://github.com/mlflow/mlflow/issues/9642
    """
    for constraint in table.foreign_key_constraints:
        if constraint.name == "fk_user_id":
            constraint.name = f"fk_user_id_{table.name}"


STORES = Schema("schema", MLFLOW / "store/db_migrations", "alembic_version", "alembic_cloudrun_journal", upgrade_stores)
PERMISSIONS = Schema(
    "schema of permissions",
    MLFLOW / "server/auth/db/migrations",
    "alembic_version_auth",
    "alembic_cloudrun_journal_auth",
    upgrade_permissions,
)


def needed() -> tuple[Schema, ...]:
    """Returns those that this process's environment wants."""
    return (STORES, PERMISSIONS) if os.environ.get(VARIABLE) else (STORES,)
