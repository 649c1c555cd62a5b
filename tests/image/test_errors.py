"""What fails is a whole answer without the database's words, and harms nobody else's request."""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.load import API
from harness.service import SEARCH, Service
from tests.image import traces

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.errors import WholeErrors
from mlflow_cloudrun.logs import App, Message, Receive, Send

JSON = {"Content-Type": "application/json"}
NOT_TRACES = ["[]", "null", "1", '"text"', '{"resourceSpans": [1]}', "NaN", "[" * 10_000, "{", ""]
# Words that only the database, its driver or a traceback would use.
INNER_WORDS = ("SELECT", "INSERT", "psycopg2", "pymysql", "sqlalche", "Traceback", "cloudsql", "constraint", "relation")


@pytest.mark.parametrize("body", NOT_TRACES)
def test_what_is_no_export_of_traces_is_a_bad_request(service: Service, body: str) -> None:
    answer = traces.export(service.http, body.encode(), headers=JSON | service.bearer())
    assert answer.status_code == 400, answer.text


def test_a_malformed_request_breaks_nobody_elses(service: Service) -> None:
    limits = httpx.Limits(max_connections=40)
    with httpx.Client(base_url=service.url, headers=service.bearer(), timeout=60, limits=limits) as http:

        def call(number: int) -> int:
            if number % 2:
                return traces.export(http, b"[]", headers=JSON).status_code
            return http.get(SEARCH).status_code

        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(call, range(120)))
    assert answers == [200, 400] * 60


def answers_of(app: App) -> tuple[list[Message], bool]:
    """Returns what the middleware sends for an application, and whether it raised."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        asyncio.run(WholeErrors(app)({"type": "http", "method": "GET", "path": "/x"}, receive, send))  # type: ignore[arg-type]
    except RuntimeError:
        return sent, True
    return sent, False


def failing_after(*messages: Message) -> App:
    """An application that fails when it has sent so much."""

    async def app(_: Message, __: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        raise RuntimeError("SELECT secret FROM runs")

    return app


BEGIN: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"all"}


def test_an_unhandled_exception_is_a_whole_answer_without_its_words() -> None:
    (start, body), raised = answers_of(failing_after())
    assert (start["status"], raised) == (500, False)
    assert json.loads(body["body"])["error_code"] == "INTERNAL_ERROR"
    assert b"SELECT" not in body["body"]


def test_an_answer_that_has_begun_is_cut_off_and_not_ended_as_if_it_were_whole() -> None:
    assert answers_of(failing_after(BEGIN)) == ([BEGIN], True)


def test_an_answer_that_was_whole_stays_whole() -> None:
    assert answers_of(failing_after(BEGIN, END)) == ([BEGIN, END], False)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{API}/runs/create", {"experiment_id": "0", "start_time": 2**63 - 1, "tags": [{"key": "k" * 9000}]}),
        ("POST", f"{API}/registered-models/create", {"name": "m" * 300}),
        ("POST", f"{API}/experiments/create", {"name": "Default"}),
        ("POST", f"{API}/experiments/create", {"name": "a\0b"}),
        ("POST", f"{API}/runs/search", "text"),
        ("POST", "/graphql", []),
    ],
)
def test_an_error_holds_no_sql(service: Service, method: str, path: str, body: object) -> None:
    answer = service.http.request(method, path, json=body, headers=service.bearer())
    assert answer.status_code >= 400 or "errors" in answer.json(), answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert [word for word in INNER_WORDS if word in answer.text] == []


AGAIN = "/api/3.0/mlflow"
TRACES_OF_0 = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}
UNREADABLE: list[tuple[str, str, dict[str, object]]] = [
    ("POST", f"{AGAIN}/traces/search", {**TRACES_OF_0, "page_token": "x"}),
    ("POST", f"{API}/traces/link-prompts", {"trace_id": "tr-1", "prompt_versions": [{"name": "p", "version": "x"}]}),
    ("GET", f"{AGAIN}/datasets/d-1/records?page_token=x", {}),
    ("POST", f"{AGAIN}/datasets/search", {"page_token": "é"}),
    ("POST", f"{API}/logged-models/search", {"experiment_ids": ["0"], "page_token": "1111"}),
    ("POST", f"{AGAIN}/datasets/create", {"name": "d", "tags": "{"}),
    ("PATCH", f"{AGAIN}/datasets/d-1/tags", {"tags": "x"}),
    ("POST", f"{AGAIN}/datasets/d-1/records", {"records": "1" * 5000}),
    ("POST", f"{AGAIN}/scorers/register", {"experiment_id": "0", "name": "s", "serialized_scorer": "1" * 5000}),
    ("POST", f"{AGAIN}/issues", {"experiment_id": "0", "name": "i", "description": "d", "severity": "x"}),
]


@pytest.mark.parametrize(("method", "path", "body"), UNREADABLE)
def test_a_value_that_mlflow_cannot_read_is_a_bad_request(
    service: Service, method: str, path: str, body: dict[str, object]
) -> None:
    answer = service.http.request(method, path, json=body or None, headers=service.bearer())
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
