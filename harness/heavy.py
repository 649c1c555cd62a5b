"""Requests of a signed-in person that might bring the service down, how many at a time, and their cost.

`python -m harness.heavy [KIND ...]` prints what comes of each kind at 1, 40 and 80 at a time.
"""

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from containers.engine import Engine
from harness import attackers, local
from harness.service import Service

MIB = 1024 * 1024
API = "/api/2.0/mlflow"
LOG_BATCH = f"{API}/runs/log-batch"
JSON = {"Content-Type": "application/json"}
SPANS = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
TIMEOUT_S = 280


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A request that costs much; the body is made when it is needed."""

    method: str = "POST"
    path: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: Callable[[], bytes] = bytes


def zeros(window_bits: int) -> bytes:
    """Returns what unpacks to a gigabyte."""
    packer = zlib.compressobj(wbits=window_bits)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(1024)) + packer.flush()


def repeated(part: bytes, mib: float, *, before: bytes = b"", after: bytes = b"") -> Callable[[], bytes]:
    """Returns what makes a body of so many MiB."""
    return cache(lambda: before + part * (int(mib * MIB) // len(part)) + after)


def spans(count: int, text: int = 0) -> Callable[[], bytes]:
    """Returns what makes an export of spans, each with a text of so many bytes."""

    def make() -> bytes:
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        for number in range(count):
            span = scope.spans.add(trace_id=b"\1" * 16, span_id=(number + 1).to_bytes(8, "big"), name="s")
            if text:
                span.attributes.add(key="mlflow.spanInputs").value.string_value = json.dumps("x" * text)
        return request.SerializeToString()

    return cache(make)


def records(count: int, text: int, *, last: str = "") -> Callable[[], bytes]:
    """Returns what makes the records of a dataset, as MLflow's client sends them: JSON in a string."""
    rows = [{"inputs": {"question": "x" * text + last, "number": number}} for number in range(count)]
    return cache(lambda: json.dumps({"records": json.dumps(rows, ensure_ascii=False)}, ensure_ascii=False).encode())


BODIES = {
    "gzip of a gigabyte": Attack(
        path="/v1/traces", headers=SPANS | {"Content-Encoding": "gzip"}, body=cache(lambda: zeros(31))
    ),
    "deflate of a gigabyte": Attack(
        path="/v1/traces", headers=SPANS | {"Content-Encoding": "deflate"}, body=cache(lambda: zeros(15))
    ),
    "a query of 31 MiB": Attack(
        path="/graphql", headers=JSON, body=repeated(b"a ", 31, before=b'{"query": "{', after=b'}"}')
    ),
    "a deep query of 60 KiB": Attack(
        path="/graphql", headers=JSON, body=repeated(b"{a", 0.06, before=b'{"query": "', after=b'"}')
    ),
    "wide JSON of 26 MiB": Attack(path=LOG_BATCH, headers=JSON, body=repeated(b"[],", 26, before=b"[", after=b"[]]")),
    "deep JSON of 26 MiB": Attack(path=LOG_BATCH, headers=JSON, body=repeated(b"[", 26)),
    "wide JSON at the limit": Attack(
        path=LOG_BATCH, headers=JSON, body=repeated(b'{"a":1},', 0.2, before=b'{"metrics":[', after=b"{}]}")
    ),
    "JSON of 31 MiB": Attack(
        path=LOG_BATCH, headers=JSON, body=repeated(b"x", 30.9, before=b'{"run_id": "', after=b'"}')
    ),
    "JSON at the limit": Attack(
        path=LOG_BATCH, headers=JSON, body=repeated(b"x", 3.9, before=b'{"run_id": "', after=b'"}')
    ),
    "a form with a file of 31 MiB": Attack(
        path="/ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path=y",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        body=repeated(b"x", 30.9, before=b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'),
    ),
    "a form of 31 MiB": Attack(
        path=LOG_BATCH, headers={"Content-Type": "application/x-www-form-urlencoded"}, body=repeated(b"a=b&", 31)
    ),
    "spans without a text, 15 MiB": Attack(path="/v1/traces", headers=SPANS, body=spans(480_000)),
    "spans without a text at the limit": Attack(path="/v1/traces", headers=SPANS, body=spans(10_000)),
    "spans with texts at the limit": Attack(path="/v1/traces", headers=SPANS, body=spans(15, MIB)),
    "packed spans with texts at the limit": Attack(
        path="/v1/traces",
        headers=SPANS | {"Content-Encoding": "gzip"},
        body=cache(lambda: gzip.compress(spans(15, MIB)())),
    ),
    "records of a dataset at the limit": Attack(
        path="/api/3.0/mlflow/datasets/d-1/records", headers=JSON, body=records(2000, 7000)
    ),
    # An emoji in a text makes each of its letters four bytes long.
    "records with emoji": Attack(
        path="/api/3.0/mlflow/datasets/d-1/records", headers=JSON, body=records(2000, 7000, last="\U0001f600")
    ),
    "records with emoji at the limit": Attack(
        path="/api/3.0/mlflow/datasets/d-1/records", headers=JSON, body=records(1500, 7000, last="\U0001f600")
    ),
}


def attack(service: Service, one: Attack, parallel: int) -> Counter[str]:
    """Sends an attack from so many clients at once; returns how often each status came, or which error."""
    headers = service.bearer() | one.headers
    body = one.body()

    def call(_: int) -> str:
        try:
            with httpx.Client(base_url=service.url, timeout=TIMEOUT_S) as client:
                return str(client.request(one.method, one.path, headers=headers, content=body).status_code)
        except httpx.TransportError as error:
            return type(error).__name__

    with ThreadPoolExecutor(parallel) as pool:
        return Counter(pool.map(call, range(parallel)))


def main() -> None:
    """Attacks with a credential."""
    kinds = {name: BODIES[name] for name in sys.argv[1:] or BODIES}
    for one in kinds.values():
        one.body()  # made before, as making them takes longer than sending
    with local.platform(Engine()) as platform:
        attackers.table(platform, kinds, attack)


if __name__ == "__main__":
    main()
