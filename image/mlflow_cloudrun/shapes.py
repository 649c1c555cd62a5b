"""Estimates how much memory a body will need in MLflow, and refuses those that no instance has the memory for.

The bytes of a body say little: `[],[],...` needs twenty times as much when it is parsed, and a span of 40 bytes is
8 KiB of objects and some milliseconds of work. The factors are on the safe side: tests/image/test_heavy.py sends what
is just within them.
"""

import json
import re
from typing import Any, Final, cast

from mlflow_cloudrun.limits import HEAVIEST, Limit, LimitError

PER_BYTE: Final = 8  # text: as bytes, as str, in the protobuf message, in the row, on its way to the database
PER_WIDE_BYTE: Final = 5  # what a text needs more, each time that it is there as str (PEP 393)
PER_ITEM: Final = 160
PER_OBJECT: Final = 2048
PER_SPAN: Final = 24 * 1024
PER_MESSAGE: Final = 512
PER_FIELD: Final = 64  # no memory, but the time that it takes to count it

DEEPEST: Final = 100  # Python's parser goes no deeper than 1,000, protobuf's no deeper than 100
# These read each byte once, whatever the body holds: a string without an end is one up to the body's end.
STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
BRACKET: Final = re.compile(rb"[\[\]{}]")
# A double holds 309 digits before the point; MLflow fails on longer numbers with an internal error.
LONG_NUMBER: Final = re.compile(rb"(?<![0-9])[0-9]{310}")
HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# One character makes all of its text wide: those beyond U+FFFF need four bytes, those beyond U+00FF two.
FOUR_BYTES: Final = re.compile(rb"[\xf0-\xff]|\\u[dD][89a-fA-F]")
TWO_BYTES: Final = re.compile(rb"[\xc4-\xff]|\\u")
GRAPHQL_TOKENS: Final = 1000
GRAPHQL_DEEPEST: Final = 20


def weigh(body: bytes, limit: Limit, content_type: str) -> int:
    """Returns how many bytes of memory MLflow will need for a body, at most.

    Raises:
        LimitError: The body is malformed, or needs more than an instance has.
    """
    if limit.kind == "otlp" and content_type != "application/json":
        weight = _protobuf_weight(body)
    else:
        weight = _json_weight(body)
        if weight > limit.heaviest:  # before each of its brackets is looked at
            raise _too_complex(limit)
        _check_depth(body)
        _check_values(body)
        if limit.kind == "graphql":
            _check_graphql(body)
    if weight > limit.heaviest:
        raise _too_complex(limit)
    return weight


def _too_complex(limit: Limit) -> LimitError:
    return LimitError(413, f"The body holds too many elements for one call. {limit.instead}.")


def _json_weight(body: bytes) -> int:
    """Counts in strings too: MLflow parses some of them again (the records of a dataset, old clients' bodies)."""
    items = PER_OBJECT * body.count(b"{") + PER_ITEM * (body.count(b"[") + body.count(b","))
    return PER_BYTE * len(body) + PER_WIDE_BYTE * _widened(body) + items


def _widened(body: bytes) -> int:
    """Returns how many bytes more a text has as str than as UTF-8, at most."""
    width = 4 if FOUR_BYTES.search(body) else 2 if TWO_BYTES.search(body) else 1
    return max(0, width * len(body.decode(errors="replace")) - len(body)) if width > 1 else 0


def _check_depth(body: bytes) -> None:
    """Refuses what is nested so deeply that MLflow's parsers fail with an internal error."""
    if body.lstrip()[:1] == b'"':  # JSON in a JSON string, which MLflow takes from old clients
        try:
            inner = json.loads(body)
        except ValueError:
            return  # MLflow says so
        body = str(inner).encode("utf-8", "replace")
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for bracket in BRACKET.finditer(STRING.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            raise LimitError(400, f"The body's JSON is nested more than {DEEPEST} levels deep.")


def _check_values(body: bytes) -> None:
    """Refuses numbers on which MLflow fails, and characters that protobuf drops with the text around them."""
    if LONG_NUMBER.search(body) and LONG_NUMBER.search(STRING.sub(b"", body)):
        raise LimitError(400, "The body has a number of more than 309 digits.")
    if HALF_PAIR.search(body):
        try:
            json.dumps(json.loads(body), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            message = "The body has half a surrogate pair (\\ud800 to \\udfff), which is no character."
            raise LimitError(400, message) from error
        except ValueError:
            return  # MLflow says so


def _check_graphql(body: bytes) -> None:
    """Refuses a query that is malformed, long or deep: MLflow parses first, and sets no limit to fragments."""
    from graphql import GraphQLSyntaxError, Source, TokenKind, parse  # noqa: PLC0415  MLflow imports it when it is asked
    from graphql.language import Lexer  # noqa: PLC0415

    try:
        request = json.loads(body)
    except ValueError as error:
        raise LimitError(400, "The body must be JSON with a query of GraphQL.") from error
    query = cast("dict[str, Any]", request).get("query") if isinstance(request, dict) else None
    if not isinstance(query, str):
        raise LimitError(400, "The body must be a JSON object whose `query` is a query of GraphQL.")
    for name, kind in (("variables", dict), ("operationName", str)):
        if not isinstance(cast("dict[str, Any]", request).get(name), kind | None):
            raise LimitError(400, f"`{name}` must be a JSON {'object' if kind is dict else 'string'} or null.")
    try:
        lexer = Lexer(Source(query))
        depth = count = 0
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            count += 1
            depth += (token.kind.value in "([{") - (token.kind.value in ")]}")
            if count > GRAPHQL_TOKENS or depth > GRAPHQL_DEEPEST:
                raise LimitError(
                    400, f"A query may have {GRAPHQL_TOKENS} tokens and be nested {GRAPHQL_DEEPEST} levels deep."
                )
        parse(query)
    except GraphQLSyntaxError as error:
        raise LimitError(400, f"GraphQL: {error.message}") from error


def _protobuf_weight(body: bytes) -> int:
    """Counts the messages of an export of spans, and their fields, without making them.

    https://protobuf.dev/programming-guides/encoding/
    """
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415  as above
    from opentelemetry.proto.trace.v1 import trace_pb2  # noqa: PLC0415

    span = trace_pb2.Span.DESCRIPTOR
    submessages: dict[object, dict[int, Any]] = {}
    weight = PER_BYTE * len(body)
    stack: list[tuple[int, int, Any]] = [(0, len(body), trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR)]
    try:
        while stack:
            position, end, descriptor = stack.pop()
            weight += PER_SPAN if descriptor is span else PER_MESSAGE
            if weight > HEAVIEST:
                return weight
            if descriptor not in submessages:
                fields = cast("list[Any]", descriptor.fields)
                submessages[descriptor] = {field.number: field.message_type for field in fields if field.message_type}
            inner = submessages[descriptor]
            while position < end and weight <= HEAVIEST:
                tag, position = _varint(body, position)
                wire_type = tag & 7
                weight += PER_FIELD
                if wire_type == 2:  # noqa: PLR2004  length-delimited
                    length, position = _varint(body, position)
                    if (message := inner.get(tag >> 3)) is not None:
                        stack.append((position, min(position + length, end), message))
                    position += length
                elif wire_type == 0:
                    _, position = _varint(body, position)
                else:
                    position += {1: 8, 5: 4}[wire_type]
    except (IndexError, KeyError) as error:
        raise LimitError(400, "Invalid OpenTelemetry format") from error
    return weight


def _varint(body: bytes, position: int) -> tuple[int, int]:
    """Returns a number and the position after it."""
    byte = body[position]
    position += 1
    if byte < 0x80:  # noqa: PLR2004
        return byte, position
    value, shift = byte & 0x7F, 7
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return value, position
        shift += 7
        if shift > 63:  # noqa: PLR2004  a number has 64 bits
            raise IndexError
