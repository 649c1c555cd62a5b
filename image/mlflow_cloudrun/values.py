"""Refuses values that the database cannot hold, with a sentence that names the column, before the database is asked.

PostgreSQL takes no NUL, neither engine takes half a surrogate pair, and a column has its length: drivers and engines
each have an error of their own for it, which MLflow passes on as its own failure, and clients repeat for minutes. One
check of what is bound to a statement holds for every route, format and engine, and knows the lengths from MLflow's own
schema.
"""

from typing import Any, cast

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from sqlalchemy import BigInteger, Connection, Integer, String, event
from sqlalchemy.engine import Engine, ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.type_api import TypeEngine

INT32, INT64 = 2**31, 2**63


def problem(value: object, kind: TypeEngine[Any] | None, *, written: bool) -> str:
    """Returns what is wrong with a value; empty if nothing is.

    Args:
        value: What is bound to a statement.
        kind: The column's type, if it is known.
        written: Whether the value is stored; one that is compared with may be of any length.
    """
    if isinstance(value, str):
        if "\0" in value:
            return "holds the character NUL (U+0000), which cannot be stored"
        if not value.isascii() and not encodable(value):
            return "holds half a surrogate pair (U+D800 to U+DFFF), which is no character"
        length = kind.length if written and isinstance(kind, String) else None
        if length is not None and len(value) > length:
            return f"has {len(value)} characters; at most {length} can be stored"
    elif isinstance(value, int) and isinstance(kind, Integer):
        bound = INT64 if isinstance(kind, BigInteger) else INT32
        if not -bound <= value < bound:
            return f"is out of range: at least {-bound}, at most {bound - 1}"
    return ""


def encodable(text: str) -> bool:
    """Returns whether a text can be sent to the database at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check(
    _connection: Connection,
    _cursor: object,
    _statement: str,
    _parameters: object,
    context: ExecutionContext | None,
    _executemany: bool,  # noqa: FBT001  SQLAlchemy's signature
) -> None:
    """Looks through what is bound to a statement, for `sqlalchemy.event` "before_cursor_execute".

    A statement that was written as text has no types; MLflow writes none of these with a client's values.

    Raises:
        MlflowException: A value cannot be stored, or compared with.
    """
    compiled = getattr(context, "compiled", None)
    if not isinstance(compiled, SQLCompiler):
        return
    written = bool(compiled.isinsert or compiled.isupdate)
    kinds: dict[str, TypeEngine[Any]] = {name: bound.type for bound, name in compiled.bind_names.items()}
    rows: list[dict[str, object]] = getattr(context, "compiled_parameters", [])
    for row in rows:
        for name, value in row.items():
            values = cast("list[object]", value) if isinstance(value, list | tuple) else [value]  # IN has several
            for one in values:
                if wrong := problem(one, kinds.get(name), written=written):
                    raise refusal(name, wrong)


def refusal(name: str, wrong: str) -> MlflowException:
    """Returns the error: a bad request, which no client repeats."""
    return MlflowException(f"A value for {column(name)!r} {wrong}.", INVALID_PARAMETER_VALUE)


def column(name: str) -> str:
    """Returns the column's name: SQLAlchemy numbers the values of several rows, and those that it compares with."""
    words = name.split("_")
    while len(words) > 1 and (not words[-1] or words[-1].isdigit() or words[-1] == "m"):
        words.pop()
    return "_".join(words)


def install() -> None:
    """Looks through the values of every statement of this process."""
    event.listen(Engine, "before_cursor_execute", check)
