"""Bounds the text of filters and sort keys: MLflow's parser takes a minute for 200 kB of brackets."""

import sqlparse

from mlflow_cloudrun import errors

LONGEST = 20_000  # more than 500 runs by their ids
parse = sqlparse.parse


def bounded_parse(text: str, encoding: str | None = None) -> object:
    """Stands in for `sqlparse.parse`, with which MLflow reads filters and sort keys.

    Raises:
        MlflowException: The text is too long.
    """
    if text and len(text) > LONGEST:
        raise errors.too_long(f"A filter may have {LONGEST} characters, and this one has {len(text)}: search in steps.")
    return parse(text, encoding)


def install() -> None:
    """Puts the bound in its place."""
    sqlparse.parse = bounded_parse
