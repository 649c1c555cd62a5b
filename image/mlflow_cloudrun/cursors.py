"""Cursors of the two drivers that weigh rows as they come (reads.py).

Both drivers take all rows of a statement into memory before they hand out the first one. Here PostgreSQL is asked for
some at a time by a cursor of its own, in one round trip if they are few; PyMySQL reads row by row.
"""

import threading
from contextlib import nullcontext
from functools import cache
from typing import Any

import psycopg2.extensions
from sqlalchemy import Connection
from sqlalchemy.types import JSON, LargeBinary, NullType, String

from mlflow_cloudrun.reads import weighed

SELECTS = ("SELECT", "WITH")
MANY = 500  # rows of short columns
LONG = 10_000  # characters; tags and parameters have 8,000
FEW = 8  # rows of columns that are longer: 16 MiB each, if somebody has filled the largest body
# One thread at a time takes those few: as bytes and as text they are 256 MiB at worst.
few_at_a_time = threading.Lock()


def note_width(_: Connection, cursor: Any, __: str, ___: object, context: Any, ____: bool) -> None:  # noqa: ANN401, FBT001
    """Tells the cursor whether the rows of a statement have texts of any length, for "before_cursor_execute"."""
    columns: Any = getattr(context.compiled, "_result_columns", ())
    cursor.wide = any(unbounded(column.type) for column in columns)


def unbounded(kind: object) -> bool:
    """Returns whether a column of this type may hold megabytes."""
    if isinstance(kind, String):
        return kind.length is None or kind.length > LONG
    return isinstance(kind, JSON | LargeBinary | NullType)


class Weighing:
    """Hands out rows that have been weighed."""

    wide = False

    def keep(self, rows: list[Any]) -> None:
        """Keeps the rows of a statement."""
        self.rows = rows
        self.position = 0

    def fetchone(self) -> Any:  # noqa: ANN401
        """Returns the next row; None after the last one."""
        found = self.fetchmany(1)
        return found[0] if found else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Returns the next rows."""
        found = self.rows[self.position : self.position + (1 if size is None else size)]
        self.position += len(found)
        return found

    def fetchall(self) -> list[Any]:
        """Returns the rest."""
        return self.fetchmany(len(self.rows))


class PostgresCursor(Weighing, psycopg2.extensions.cursor):
    """psycopg2's cursor."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002, ANN401  the driver's names
        """Runs a statement and takes its rows."""
        base = psycopg2.extensions.cursor
        self.keep([])
        if not isinstance(query, str) or not query.startswith(SELECTS) or self.connection.autocommit:
            base.execute(self, query, vars)
            if self.description:
                self.keep(weighed(base.fetchall(self), parsed=self.wide))
            return
        number = 1 if self.wide else MANY
        base.execute(self, f"CLOSE ALL; DECLARE rows NO SCROLL CURSOR FOR {query}; FETCH {number} FROM rows", vars)
        found = part = weighed(base.fetchall(self), parsed=self.wide)
        while len(part) == number:
            number = FEW if self.wide else MANY
            with few_at_a_time if self.wide else nullcontext():
                base.execute(self, f"FETCH {number} FROM rows")
                part = weighed(base.fetchall(self), parsed=self.wide)
            found += part
        self.keep(found)


@cache
def mysql_cursor() -> type:
    """Returns PyMySQL's cursor, which is not there for PostgreSQL's sake alone."""
    from pymysql.cursors import SSCursor  # noqa: PLC0415  # pyright: ignore[reportMissingModuleSource]

    base: Any = SSCursor

    class MysqlCursor(Weighing, base):
        def execute(self, query: Any, args: Any = None) -> Any:  # noqa: ANN401
            """Runs a statement and takes its rows."""
            self.keep([])
            affected = base.execute(self, query, args)
            found: list[Any] = []
            while self.description and (part := weighed(base.fetchmany(self, FEW), parsed=self.wide)):
                found += part
            self.keep(found)
            return affected

    return MysqlCursor


def connect_arguments(uri: str) -> dict[str, object]:
    """Returns what makes the driver use these cursors."""
    return {"cursorclass": mysql_cursor()} if uri.startswith("mysql") else {"cursor_factory": PostgresCursor}
