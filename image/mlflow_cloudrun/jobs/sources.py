"""The sources that `import` reads: an mlruns folder, an SQLite file or a database, here or in the bucket; read only."""

# google-cloud-storage and MLflow's migration have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow.store import fs2db
from sqlalchemy import Engine, text

from mlflow_cloudrun.jobs.objects import AT_A_TIME, Objects
from mlflow_cloudrun.jobs.report import LeftError

STORE = "IMPORT_STORE_URI"
ARTIFACTS = "/artifacts/"
SQLITE = b"SQLite format 3\0"


def opened(source: str, objects: Objects, scratch: Path) -> tuple[Engine, str]:
    """Returns the database to read, and what it was, for people.

    Args:
        source: Where it is; empty for the database that the environment names.
        objects: The bucket.
        scratch: A folder for copies.

    Raises:
        LeftError: There is nothing there that can be read.
    """
    if not source:
        return sqlalchemy.create_engine(os.environ[STORE], **read_only(os.environ[STORE])), "the database"
    path = downloaded(source, objects, scratch) if source.startswith("gs://") else Path(source)
    copy = scratch / "copy.db"
    if path.is_dir():
        with redirect_stdout(io.StringIO()):  # advice for who moves to a file
            fs2db.migrate(path, f"sqlite:///{copy}", progress=False)
    elif path.is_file() and path.read_bytes()[: len(SQLITE)] == SQLITE:
        shutil.copyfile(path, copy)
    else:
        raise LeftError("missing", f"{source} is neither an mlruns folder nor an SQLite file")
    return sqlalchemy.create_engine(f"sqlite:///{copy}"), source


def read_only(uri: str) -> dict[str, Any]:
    """Returns the options of a connection that cannot write."""
    if uri.startswith("postgresql"):
        return {"connect_args": {"options": "-c default_transaction_read_only=on"}}
    return {"connect_args": {"init_command": "SET SESSION TRANSACTION READ ONLY"}} if uri.startswith("mysql") else {}


def downloaded(uri: str, objects: Objects, scratch: Path) -> Path:
    """Copies an SQLite file, or a folder without its artifacts, out of the bucket; returns where it is now.

    Raises:
        LeftError: The bucket does not give it.
    """
    bucket, prefix = objects.place(uri)
    target = scratch / "source"
    name = prefix.rstrip("/")

    def download(blob: Any) -> None:  # noqa: ANN401
        path = target / blob.name.removeprefix(name).lstrip("/") if blob.name != name else scratch / "source.db"
        if not path.resolve().is_relative_to(scratch):
            raise LeftError("foreign", f"{blob.name} leaves its folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        objects.read(blob, path)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for page in objects.listing(bucket, name).pages:
            wanted = [
                blob
                for blob in page
                if blob.name == name or (blob.name.startswith(prefix) and ARTIFACTS not in blob.name)
            ]
            list(pool.map(download, (blob for blob in wanted if not blob.name.endswith("/"))))
    return scratch / "source.db" if (scratch / "source.db").exists() else target


def revision(engine: Engine) -> str | None:
    """Returns the revision of a source's schema."""
    with engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))
