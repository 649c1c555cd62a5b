"""The Logging query language: whether a log entry is one that a filter asks for.

Names that LogEntry does not have are refused, as Google refuses them. Left out: functions other than `log_id`, and
comparisons of times other than of `timestamp` and `receiveTimestamp`.
https://cloud.google.com/logging/docs/view/logging-query-language
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localcloud.services import query
from localcloud.services.query import BadFilter, Call, Comparison, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.terraform.model import Object, Value

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
# https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
_FIELDS = {
    "errorGroups": (),
    "httpRequest": (
        *("cacheFillBytes", "cacheHit", "cacheLookup", "cacheValidatedWithOriginServer", "latency", "protocol"),
        *("referer", "remoteIp", "requestMethod", "requestSize", "requestUrl", "responseSize", "serverIp", "status"),
        "userAgent",
    ),
    "insertId": (),
    "jsonPayload": None,
    "labels": None,
    "logName": (),
    "metadata": None,
    "operation": ("first", "id", "last", "producer"),
    "protoPayload": None,
    "receiveTimestamp": (),
    "resource": ("labels", "type"),
    "severity": (),
    "sourceLocation": ("file", "function", "line"),
    "spanId": (),
    "split": ("index", "totalSplits", "uid"),
    "textPayload": (),
    "timestamp": (),
    "trace": (),
    "traceSampled": (),
}
_NUMBERS = {"requestSize", "responseSize", "status"}
_TIMES = {"receiveTimestamp", "timestamp"}
_ORDER = {">", ">=", "<", "<="}
_PAGE = "https://cloud.google.com/logging/docs/view/logging-query-language"


class Query:
    """A filter that was read.

    Args:
        text: the filter.

    Raises:
        BadFilter: it is none, or asks for something that is not known here.
    """

    def __init__(self, text: str) -> None:
        try:
            self._node = query.parse(text)
        except BadFilter as error:
            raise BadFilter(f"Unparseable filter: {error}") from error
        for leaf in query.leaves(self._node):
            _check(leaf)

    def matches(self, entry: Object) -> bool:
        """Whether a LogEntry, in JSON's form, is asked for."""
        return query.evaluate(self._node, lambda leaf: _holds(leaf, entry))


def _check(leaf: Comparison | Call | Text) -> None:
    match leaf:
        case Call(name, arguments):
            if name != "log_id" or len(arguments) != 1:
                raise BadFilter(f"the function {name} has no meaning in the local cloud, only log_id does: {_PAGE}")
        case Comparison(path, operator, value):
            if isinstance(value, Call):
                raise BadFilter(f"the function {value.name} has no meaning in the local cloud: {_PAGE}")
            _check_field(_camel(path))
            if operator in {"=~", "!~"}:
                _regex(value)
        case _:
            pass


def _check_field(path: tuple[str, ...]) -> None:
    fields = _FIELDS.get(path[0], ...)
    inner = path[1] if len(path) > 1 else ""
    if fields is ... or (fields is not None and inner and inner not in fields):
        raise BadFilter(f"Field not found: '{'.'.join(path)}' (LogEntry has no such field: {_PAGE})")


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadFilter(f"Invalid regular expression: {pattern!r}: {error}") from error


def _holds(leaf: Comparison | Call | Text, entry: Object) -> bool:
    match leaf:
        case Call(_, arguments):
            name = entry.get("logName")
            return isinstance(name, str) and unquote(name.partition("/logs/")[2]) == arguments[0]
        case Text(value):
            return any(value.casefold() in text.casefold() for text in _texts(entry))
        case Comparison(path, operator, value):
            assert isinstance(value, str)  # noqa: S101 - functions were refused
            path = _camel(path)
            found = [*_values(entry, path)]
            if not found:
                if path[0] in {"jsonPayload", "protoPayload", "labels", "metadata"} or path[:2] == (
                    "resource",
                    "labels",
                ):
                    return False  # comparisons with missing fields fail, `!=` too
                found = [_default(path)]
            return any(_compares(one, operator, value, path) for one in found)


def _camel(path: tuple[str, ...]) -> tuple[str, ...]:
    """LogEntry's own names may be written with underscores."""
    depth = 2 if path[0] in {"http_request", "httpRequest", "source_location", "sourceLocation"} else 1
    own = (re.sub(r"_([a-z])", lambda it: it[1].upper(), name) for name in path[:depth])
    return (*own, *path[depth:])


def _values(value: Value, path: tuple[str, ...]) -> Iterator[Value]:
    """Returns the values at a path; in lists, those of each item. A name may have dots in it."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        for depth in range(1, len(path) + 1):
            name = ".".join(path[:depth])
            if name in value:
                yield from _values(value[name], path[depth:])


def _default(path: tuple[str, ...]) -> Value:
    if path == ("severity",):
        return SEVERITIES[0]
    return 0 if path[-1] in _NUMBERS else ""


def _compares(found: Value, operator: str, value: str, path: tuple[str, ...]) -> bool:
    if operator == ":":
        return _has(found, value)
    if found is None or value == "NULL_VALUE":
        return (found is None and value == "NULL_VALUE") == (operator == "=")
    if operator in {"=~", "!~"}:
        return (_regex(value).search(_text(found)) is not None) == (operator == "=~")
    ours, theirs = _alike(found, value, path)
    if ours is None or theirs is None:
        return operator == "!="
    order: int = (ours > theirs) - (ours < theirs)  # both are of one type
    return {"=": order == 0, "!=": order != 0, ">": order > 0, ">=": order >= 0, "<": order < 0, "<=": order <= 0}[
        operator
    ]


def _alike(found: Value, value: str, path: tuple[str, ...]) -> tuple[Any, Any]:
    """Both sides of a comparison in one type; None where there is none."""
    if path == ("severity",):
        names = [name.casefold() for name in SEVERITIES]
        ours, theirs = str(found).casefold(), value.casefold()
        ranks = {str(100 * rank): rank for rank in range(len(names))}
        return (
            names.index(ours) if ours in names else None,
            names.index(theirs) if theirs in names else ranks.get(theirs),
        )
    if path[0] in _TIMES:
        return _time(str(found)), _time(value)
    if isinstance(found, bool):
        return str(found).casefold(), value.casefold()
    if isinstance(found, int | float) or path[-1] in _NUMBERS:
        try:
            return float(str(found)), float(value)
        except ValueError:
            return None, None
    return _text(found).casefold(), value.casefold()


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _has(found: Value, value: str) -> bool:
    if value == "*":
        return found not in (None, "", 0)
    if isinstance(found, dict):
        return value in found
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(value) == found
        except ValueError:
            return False
    return value.casefold() in _text(found).casefold()


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield _text(value)
