"""Runs MLflow's server in this process: `python -m mlflow_cloudrun serve FOLDER | db-upgrade | JOB ...`.

`mlflow server` imports all of its commands, checks the stores, and starts uvicorn as a child, which imports everything
a second time. Here one process does what is needed: half the memory, and the stores that were checked are those that
answer.
"""

import gc
import logging
import math
import os
import shlex
import sys
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow_cloudrun import environment, front, logs, settings

EX_DATAERR, EX_TEMPFAIL, EX_CONFIG = 65, 75, 78
START_LOCK_S = 200  # below Cloud Run's 240 s for a start
START_MIGRATION_S = 120  # half of that: an estimate may be wrong, and the rest of the start takes its time
UPGRADE_LOCK_S = 3600  # as long as a job may migrate a large database
logger = logging.getLogger("mlflow_cloudrun")


@contextmanager
def ending(statuses: Mapping[type[Exception], int]) -> Generator[None]:
    """Ends the process with a message and no traceback where one of these errors is raised.

    Args:
        statuses: By the class of the error, the exit status.
    """
    try:
        yield
    except tuple(statuses) as error:
        logger.critical("%s", error)
        sys.exit(statuses[type(error)])


def upgrade(uri: str, *, patience_s: int, longest_s: float, served: tuple[str, ...] = ()) -> None:
    """Brings the schema up to date; what keeps it from that ends the process with a message and no traceback."""
    from mlflow_cloudrun import database  # noqa: PLC0415  settings.py runs without MLflow's imports

    accounts = settings.sharing_accounts(os.environ)
    statuses: dict[type[Exception], int] = {
        database.NewerSchemaError: EX_DATAERR,
        database.HalfMovedError: EX_DATAERR,
        database.LongMigrationError: EX_CONFIG,
        database.BusyError: EX_TEMPFAIL,
    }
    with ending(statuses):
        database.upgrade(uri, patience_s=patience_s, longest_s=longest_s, served=served, accounts=accounts)


def make_indexes(uri: str) -> None:
    """Makes the indexes that a migration has dropped, so that the service need not."""
    import sqlalchemy  # noqa: PLC0415  settings.py runs without it

    from mlflow_cloudrun import indexes  # noqa: PLC0415

    indexes.try_to_make(sqlalchemy.create_engine(uri))


def told(uri: str, root: str) -> dict[str, str]:
    """Returns what `mlflow server` tells its workers, by their environment; a test compares it with what that does.

    Args:
        uri: SQLAlchemy URI of the database.
        root: Where artifacts are.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": root,
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }


def serve(uri: str, folder: Path) -> None:
    """Brings the schema up to date, then serves."""
    from mlflow_cloudrun import postponed  # noqa: PLC0415  not for the jobs

    postponed.install()
    import uvicorn.main  # noqa: PLC0415

    from mlflow_cloudrun import locations  # noqa: PLC0415

    upgrade(uri, patience_s=START_LOCK_S, longest_s=START_MIGRATION_S, served=locations.roots(os.environ))
    root = os.environ["DEFAULT_ARTIFACT_ROOT"]
    os.environ |= environment.OFF | told(uri, root)
    from mlflow.server import handlers  # noqa: PLC0415  reads them when it is imported

    from mlflow_cloudrun import application, authorization, engine, indexes, workspaces  # noqa: PLC0415

    engine.install()
    with ending({workspaces.LeftOverError: EX_CONFIG}):
        workspaces.prepare(engine.create(uri))
    authorization.install(uri, folder, START_LOCK_S)
    handlers.initialize_backend_stores(uri, uri, root)
    fastapi = authorization.guarded(application.fastapi_app)
    application.app = application.protected(folder, fastapi)
    # What was imported stays: the collector need not look at it again. https://docs.python.org/3/library/gc.html#gc.freeze
    gc.freeze()
    gc.enable()
    indexes.keep(engine.create(uri))
    # httptools takes a head of any length: the edge bounds it (haproxy.cfg: tune.bufsize).
    # https://www.uvicorn.org/settings/#http
    options = ["--http=httptools", *shlex.split(os.environ["MLFLOW_UVICORN_OPTS"])]
    place = [f"--host={os.environ['MLFLOW_HOST']}", f"--port={os.environ['MLFLOW_PORT']}"]
    uvicorn.main.main(args=[*options, *place, "mlflow_cloudrun.application:app"], prog_name="uvicorn")


def reach(uri: str) -> None:
    """Waits for the way to the database; what keeps it from being reached ends the process with a message."""
    from mlflow_cloudrun import reach  # noqa: PLC0415  SQLAlchemy is imported when the log is configured

    with ending({reach.UnreachableError: EX_TEMPFAIL, reach.UntrustedError: EX_CONFIG}):
        reach.reach(uri)


def main() -> None:
    """Dispatches; the database's address comes from the environment alone, so that no process list shows it."""
    gc.disable()  # importing MLflow makes much and drops little: a tenth of the start was collecting
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    logs.configure()
    command, *options = sys.argv[1:]
    uri = os.environ["BACKEND_STORE_URI"]
    if uri.startswith("mysql"):
        from mlflow_cloudrun import mysql_login  # noqa: PLC0415  not for PostgreSQL

        mysql_login.install()
    if os.environ.get(settings.DATABASE_LOGIN) == "iam":
        from mlflow_cloudrun import login  # noqa: PLC0415  not for passwords

        login.install()
    reach(uri)
    if command == "serve":
        front.watch()
        serve(uri, Path(options[0]))
    elif command == "db-upgrade":
        upgrade(uri, patience_s=UPGRADE_LOCK_S, longest_s=math.inf)
        logger.info("The schema is up to date")
        make_indexes(uri)
    else:
        from mlflow_cloudrun.jobs.command import run  # noqa: PLC0415  the server has no jobs

        sys.exit(run(command, options, uri))


if __name__ == "__main__":
    main()
