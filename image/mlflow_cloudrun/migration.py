"""Migrates the schema so that a migration that is killed at any statement goes on at the next start.

PostgreSQL takes back all of a migration that does not end. MySQL commits each statement that changes a table at once:
a revision that was killed in the middle would fail for ever, at its first statement that is already done. So there a
journal in the database says which statements are done, and a migration that goes on skips them.
https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, inspect, text

from mlflow_cloudrun.schemas import Schema

HALF_MOVED = "alembic_cloudrun_import"
COLUMNS = "revision VARCHAR(32), statement VARCHAR(64), shown MEDIUMTEXT"
BEGAN, LATER = "", "later"  # instead of a statement: the revision was begun; to be done when it has ended
DEFINES = re.compile(r"\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE)\b", re.IGNORECASE)
SHOWS = re.compile(r"SHOW CREATE TABLE\b")
DROPS_COLUMN = re.compile(r"ALTER TABLE \S+ DROP COLUMN\b")
INSERTS = re.compile(r"\s*INSERT\b", re.IGNORECASE)
MOVES_ON = re.compile(r"(?:UPDATE|INSERT INTO) alembic_version(?:_auth)?\b.*?'(\w+)'")
# The table, column, key, trigger or constraint is there already, or is gone already:
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
ALREADY = {1022, 1050, 1051, 1054, 1060, 1061, 1068, 1091, 1359, 1826, 3822}
DUPLICATE_ROW = 1062
# The slowest revision by far (75868b020152, which reads every span in Python): 66 MB of spans in 19 s, on two busy
# cores and PostgreSQL 15. An index of metrics takes a fifth of that.
BYTES_PER_SECOND = 3_500_000
SIZES = {
    "postgresql": "SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
    "mysql": "SELECT table_name AS name, data_length + index_length AS bytes FROM information_schema.tables "
    "WHERE table_schema = database()",
}


class Journal:
    """Which statements of the revision that is being made are done; lives in the database for as long as a migration.

    Args:
        engine: The one that migrates; its statements pass through here.
        name: Its table.
        revision: The schema's revision before.
    """

    def __init__(self, engine: Engine, name: str, revision: str | None) -> None:
        self.engine, self.name, self.revision = engine, name, revision or "empty"
        self.seen: Counter[str] = Counter()
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {self.name} ({COLUMNS})"))
            connection.execute(text(f"DELETE FROM {self.name} WHERE revision <> :now"), {"now": self.revision})  # noqa: S608
            found = connection.execute(text(f"SELECT statement, shown FROM {self.name}")).all()  # noqa: S608
            self.do_later(connection.connection.cursor(), [row.shown for row in found if row.statement == LATER])
        self.later: list[str] = []
        self.done: dict[str, str] = {row.statement: row.shown for row in found if row.statement != LATER}
        self.resumed = bool(self.done)  # an earlier attempt was killed within this revision
        self.doubtful = self.resumed  # it may have done one statement more than it could note
        event.listen(engine, "do_execute", self.execute)

    def end(self) -> None:
        """Leaves the database as MLflow knows it."""
        event.remove(self.engine, "do_execute", self.execute)
        with self.engine.begin() as connection:
            connection.execute(text(f"DROP TABLE {self.name}"))

    def execute(self, cursor: Any, statement: str, parameters: Any, _: object) -> bool:  # noqa: ANN401  the driver's
        """Runs a statement instead of SQLAlchemy, or skips it; returns whether it did either."""
        if moved := MOVES_ON.match(statement):
            self.move_on(cursor, moved[1], statement, parameters)
        elif SHOWS.match(statement):
            self.show(cursor, statement)
        elif DEFINES.match(statement) and self.name not in statement:
            self.define(cursor, statement, parameters)
        elif INSERTS.match(statement) and self.resumed:
            self.tolerant({DUPLICATE_ROW}, cursor, statement, parameters)
        else:
            return False
        return True

    def move_on(self, cursor: Any, revision: str, statement: str, parameters: Any) -> None:  # noqa: ANN401
        """Ends a revision, and begins the next."""
        self.revision, self.seen = revision, Counter()
        later, self.later = self.later, []
        with cursor.connection.cursor() as own:
            for drop in later:
                own.execute(f"INSERT INTO {self.name} VALUES (%s, %s, %s)", (revision, LATER, drop))  # noqa: S608
        cursor.connection.commit()
        cursor.execute(statement, parameters)
        self.done, self.resumed, self.doubtful = {}, False, False
        self.note(cursor, BEGAN)
        with cursor.connection.cursor() as own:
            self.do_later(own, later)

    def do_later(self, cursor: Any, later: list[str]) -> None:  # noqa: ANN401
        """Drops the columns that the revision has dropped, now that nobody reads them any more."""
        for drop in later:
            self.tolerant(ALREADY, cursor, drop, None)
            cursor.execute(f"DELETE FROM {self.name} WHERE statement = %s AND shown = %s", (LATER, drop))  # noqa: S608
        cursor.connection.commit()

    def digest(self, statement: str) -> str:
        """Returns what stands for the next occurrence of a statement in this revision."""
        self.seen[statement] += 1
        return hashlib.sha256(f"{statement}\0{self.seen[statement]}".encode()).hexdigest()

    def show(self, cursor: Any, statement: str) -> None:  # noqa: ANN401
        """Tells how a table was when the revision first asked, before it dropped what it asked for."""
        digest = self.digest(statement)
        if digest not in self.done:
            cursor.execute(statement)
            self.done[digest] = cursor.fetchone()[1]
            self.note(cursor, digest, self.done[digest])
        cursor.execute("SELECT '', %s", (self.done[digest],))

    def define(self, cursor: Any, statement: str, parameters: Any) -> None:  # noqa: ANN401
        """Runs a statement that changes a table, unless it is done, and notes it."""
        if DROPS_COLUMN.match(statement):  # the revision, should it go on, reads the column again
            self.later.append(statement)
            return
        digest = self.digest(statement)
        if digest in self.done:
            return
        self.tolerant(ALREADY if self.doubtful else set(), cursor, statement, parameters)
        self.doubtful = False
        self.note(cursor, digest)

    def tolerant(self, codes: set[int], cursor: Any, statement: str, parameters: Any) -> None:  # noqa: ANN401
        """Runs a statement that may have been run before."""
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            if not error.args or error.args[0] not in codes:
                raise

    def note(self, cursor: Any, digest: str, shown: str = "") -> None:  # noqa: ANN401
        """Writes down that a statement is done; whatever came before it is committed by then."""
        with cursor.connection.cursor() as own:
            own.execute(f"INSERT INTO {self.name} VALUES (%s, %s, %s)", (self.revision, digest, shown))  # noqa: S608
        cursor.connection.commit()


def unfinished(engine: Engine, schema: Schema) -> bool:
    """Returns whether a migration was killed before its last step."""
    return engine.dialect.name == "mysql" and inspect(engine).has_table(schema.journal)


def half_moved(engine: Engine) -> bool:
    """Returns whether an import was killed."""
    return inspect(engine).has_table(HALF_MOVED)


def mark_half_moved(connection: Connection) -> None:
    """Keeps servers from what is not whole."""
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {HALF_MOVED} (began INTEGER)"))


def unmark_half_moved(connection: Connection) -> None:
    """Lets servers start."""
    connection.execute(text(f"DROP TABLE {HALF_MOVED}"))


def run(engine: Engine, schema: Schema, revision: str | None) -> None:
    """Brings a schema from a revision to the newest; goes on where an earlier attempt was killed."""
    journal = Journal(engine, schema.journal, revision) if engine.dialect.name == "mysql" else None
    schema.upgrade(engine, revision)
    if journal:
        journal.end()


def seconds_needed(engine: Engine, pending: Iterable[Path]) -> float:
    """Estimates how long a migration takes: what the tables hold that each pending revision names.

    Args:
        engine: The database.
        pending: The files of the revisions that are to be made.
    """
    with engine.connect() as connection:
        sizes = {row.name: int(row.bytes or 0) for row in connection.execute(text(SIZES[engine.dialect.name]))}
    sources = [path.read_text(encoding="utf-8") for path in pending]
    touched = sum(
        size
        for source in sources
        for name, size in sizes.items()
        if re.search(rf"""["']{re.escape(name)}["']""", source)
    )
    return touched / BYTES_PER_SECOND
