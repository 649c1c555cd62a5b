"""What a body holds is counted before MLflow reads it: depth, elements, letters, spans, fields of a query."""

import json

import pytest

from tests.image.body import GRAPHQL, LOG_BATCH, MIB, PROTOBUF, TRACES, post, spans

DEEP = b"[" * 101 + b"]" * 101
SHAPES: dict[str, tuple[str, bytes, int]] = {
    "deep lists": (LOG_BATCH, DEEP, 400),
    "deep objects": (LOG_BATCH, b'{"a":' * 101 + b"1" + b"}" * 101, 400),
    "deep, in a string, as old clients send it": (LOG_BATCH, json.dumps(DEEP.decode()).encode(), 400),
    "deep in a trace": (TRACES, DEEP, 400),
    "empty lists": (LOG_BATCH, b"[" + b"[]," * MIB + b"[]]", 413),
    "empty objects": (LOG_BATCH, b"[" + b"{}," * MIB + b"{}]", 413),
    "empty records in a string": (
        "/api/3.0/mlflow/datasets/d-1/records",
        json.dumps({"records": "[" + "{}," * MIB + "{}]"}).encode(),
        413,
    ),
    "records of wide letters": (
        "/api/3.0/mlflow/datasets/d-1/records",
        json.dumps({"records": "x" * 12 * MIB + "\U0001f600"}, ensure_ascii=False).encode(),
        413,
    ),
    "records of wide letters, escaped": (
        "/api/3.0/mlflow/datasets/d-1/records",
        json.dumps({"records": "x" * 12 * MIB + "\U0001f600"}).encode(),
        413,
    ),
    "records of Chinese": (
        "/api/3.0/mlflow/datasets/d-1/records",
        json.dumps({"records": "\u6f22" * 4 * MIB}, ensure_ascii=False).encode(),
        200,
    ),
    "half a surrogate pair": (LOG_BATCH, b'{"a": "\\ud83d!"}', 400),
    "a whole pair": (LOG_BATCH, b'{"a": "\\ud83d\\ude00"}', 200),
    "an escaped backslash before it": (LOG_BATCH, b'{"a": "\\\\ud83d"}', 200),
    "a number of 400 digits": (LOG_BATCH, b'{"a": ' + b"1" * 400 + b"}", 400),
    "a text of 400 digits": (LOG_BATCH, b'{"a": "' + b"1" * 400 + b'"}', 200),
    "a text without an end, all quotes": (LOG_BATCH, b"[" * 101 + b'"' + b'\\"' * MIB, 400),
    "a text that ends in a backslash": (LOG_BATCH, b"[" * 101 + b'"x\\', 400),
    "brackets in a text without an end": (LOG_BATCH, b'{"value": "' + b"[" * 1000, 200),
    "brackets in a text": (LOG_BATCH, json.dumps({"value": "[" * 1000 + '"\\'}).encode(), 200),
    "an ordinary query": (
        GRAPHQL,
        b'{"query": "query A($i: I!) { a(input: $i) { b { c } } }", "variables": null}',
        200,
    ),
    "no query": (GRAPHQL, b"{}", 400),
    "a list": (GRAPHQL, b"[]", 400),
    "no JSON": (GRAPHQL, b"query { a }", 400),
    "half a query": (GRAPHQL, b'{"query": "{ a {"}', 400),
    "variables of another kind": (GRAPHQL, b'{"query": "{ a }", "variables": []}', 400),
    "a deep query": (GRAPHQL, json.dumps({"query": "{a" * 30 + "}" * 30}).encode(), 400),
    "a deep value": (GRAPHQL, json.dumps({"query": "{a(b:" + "[" * 30 + "]" * 30 + ")}"}).encode(), 400),
    "a wide query": (GRAPHQL, json.dumps({"query": "{" + "a " * 2000 + "}"}).encode(), 400),
    "many fragments": (GRAPHQL, json.dumps({"query": "{a}" + "fragment A on B {a}" * 200}).encode(), 400),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_shape_of_a_body_leads_to(shape: str) -> None:
    path, body, status = SHAPES[shape]
    answer = post(path, body, content_type="application/json")
    assert answer.status_code == status, answer.text


def test_many_small_spans_are_refused_and_an_exporters_batch_is_not() -> None:
    assert post(TRACES, spans(512), **PROTOBUF).status_code == 200
    assert post(TRACES, spans(200_000), **PROTOBUF).status_code == 413


def test_spans_of_more_fields_than_can_be_counted_quickly_are_refused() -> None:
    unknown = b"\x98\x06\x01"  # field 99, a number
    assert post(TRACES, unknown * (5 * MIB), **PROTOBUF).status_code == 413


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05\x0a", b"\xff" * 20, b"\x0b\x0c"])
def test_malformed_spans_do_not_raise(body: bytes) -> None:
    assert post(TRACES, body, **PROTOBUF).status_code in (200, 400)
