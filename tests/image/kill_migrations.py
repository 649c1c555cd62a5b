"""Kills a migration again and again, with SIGKILL, until one ends; runs in the image: EVERY.

Each attempt is a process of its own, which dies before its statement number N that changes something. On MySQL what an
attempt has done stays: the next one dies EVERY statements further. On PostgreSQL nothing may stay.
"""

import json
import os
import re
import signal
import sys
from typing import Any

import sqlalchemy
from mlflow_cloudrun import database, schemas
from sqlalchemy import Engine, event, inspect

URI = os.environ["BACKEND_STORE_URI"]
CHANGES = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|RENAME)\b", re.IGNORECASE)


def die_before(number: int) -> None:
    """Kills this process before a statement."""
    left = number

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal left
        if CHANGES.match(statement):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)


def attempt(number: int) -> int:
    """Migrates in a process that dies before a statement; returns how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    die_before(number)
    try:
        database.upgrade(URI, patience_s=10, longest_s=1e9)
    except BaseException as error:  # noqa: BLE001  told to the parent by the status
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def state() -> tuple[Any, Any, int]:
    """Returns the revision of each schema, and how many tables there are besides those of migrations."""
    engine = sqlalchemy.create_engine(URI)
    tables = [name for name in inspect(engine).get_table_names() if not name.startswith("alembic_")]
    found = schemas.STORES.revision(engine), schemas.PERMISSIONS.revision(engine), len(tables)
    engine.dispose()
    return found


def main() -> None:
    """Prints how many attempts were killed, how the last one ended, and what the killed ones left on PostgreSQL."""
    if URI.startswith("mysql"):
        from mlflow_cloudrun import mysql_login  # noqa: PLC0415

        mysql_login.install()
    every = int(sys.argv[1])
    kills, number = 0, 1
    revision = None
    left: set[Any] = set()
    while (status := attempt(number)) == -signal.SIGKILL:
        kills += 1
        now = state()
        if URI.startswith("mysql") and now[:2] != revision:
            revision, number = now[:2], 0
        left.add(now)
        number += every
    sys.stdout.write(json.dumps({"kills": kills, "status": status, "left": sorted(map(str, left))}) + "\n")


main()
