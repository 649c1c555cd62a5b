"""Who did it: every thing carries the address that the gate saw, on both engines, by every kind of route."""

import json
import re
import secrets
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.db.base_sql_model import Base
from sqlalchemy import inspect

from harness.service import SERVICE_ACCOUNT, USER, Service
from harness.waiting import wait_for
from localcloud.clock import Clock
from localcloud.machine.logbook import Logbook, Source, entries
from localcloud.services.logging_query import Query
from localcloud.store import Store
from tests.image.things import (
    AJAX,
    AJAX3,
    API,
    API3,
    BOB,
    CLAIM,
    LIE,
    TAG,
    THINGS,
    Person,
    name,
    new_dataset,
    new_experiment,
    new_logged_model,
    new_registered_model,
    new_run,
    new_trace,
    new_version,
    registered_model_tags,
    tags_of,
    version_tags,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import authors

RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("who", [USER, SERVICE_ACCOUNT])
def test_a_thing_carries_who_made_it_and_beside_it_what_the_client_claimed(
    either: Service, thing: str, who: str
) -> None:
    make, read = THINGS[thing]
    made = make(Person(either, who))
    tags = read(Person(either, BOB), made)
    assert (tags[TAG], tags[CLAIM]) == (who, LIE)


def test_a_client_that_claims_nothing_is_known(either: Service) -> None:
    ada = Person(either, USER)
    made = ada.ask("POST", f"{API}/runs/create", {"experiment_id": "0"})["run"]
    tags = tags_of(made["data"]["tags"])
    assert (made["info"]["user_id"], tags[TAG], CLAIM in tags) == (USER, USER, False)


# What would set, change or delete the tag of a thing that is there: its kind, method, path and body.
LATER: list[tuple[str, str, str, dict[str, Any]]] = [
    ("experiment", "POST", "{api}/experiments/set-experiment-tag", {"experiment_id": "ID", "key": TAG, "value": BOB}),
    ("experiment", "POST", "{api}/experiments/delete-experiment-tag", {"experiment_id": "ID", "key": TAG}),
    ("run", "POST", "{api}/runs/set-tag", {"run_id": "ID", "key": TAG, "value": BOB}),
    ("run", "POST", "{api}/runs/set-tag", {"run_id": "ID", "key": "MLflow.User ", "value": BOB}),
    ("run", "POST", "{api}/runs/delete-tag", {"run_id": "ID", "key": TAG}),
    ("run", "POST", "{api}/runs/log-batch", {"run_id": "ID", "tags": [{"key": TAG, "value": BOB}]}),
    (
        *("run", "POST", "{api}/runs/log-batch"),
        {"run_id": "ID", "tags": [*({"key": f"k{n}", "value": "v"} for n in range(30)), {"key": TAG, "value": BOB}]},
    ),
    ("logged model", "PATCH", "{api}/logged-models/ID/tags", {"tags": [{"key": TAG, "value": BOB}]}),
    ("logged model", "PATCH", "{api}/logged-models/ID/tags", {"tags": [{"key": "mlflow.üser", "value": BOB}]}),
    ("logged model", "DELETE", f"{{api}}/logged-models/ID/tags/{TAG}", {}),
    ("registered model", "POST", "{api}/registered-models/set-tag", {"name": "ID", "key": TAG, "value": BOB}),
    ("registered model", "DELETE", "{api}/registered-models/delete-tag", {"name": "ID", "key": TAG}),
    ("version", "POST", "{api}/model-versions/set-tag", {"name": "ID", "version": "1", "key": TAG, "value": BOB}),
    ("version", "DELETE", "{api}/model-versions/delete-tag", {"name": "ID", "version": "1", "key": TAG}),
    ("trace", "PATCH", "{api3}/traces/ID/tags", {"key": TAG, "value": BOB}),
    ("trace", "PATCH", "{api}/traces/ID/tags", {"key": TAG, "value": BOB}),
    ("trace", "DELETE", "{api3}/traces/ID/tags", {"key": TAG}),
    ("trace", "DELETE", "{api}/traces/ID/tags", {"key": TAG}),
    ("dataset", "PATCH", "{api3}/datasets/ID/tags", {"tags": json.dumps({TAG: BOB})}),
    ("dataset", "DELETE", f"{{api3}}/datasets/ID/tags/{TAG}", {}),
]


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
@pytest.mark.parametrize("number", range(len(LATER)), ids=[f"{method} {path}" for _, method, path, _ in LATER])
def test_nobody_sets_changes_or_deletes_it_later(either: Service, number: int, prefix: str) -> None:
    kind, method, path, body = LATER[number]
    make, read = THINGS[kind]
    made = make(Person(either, USER))
    path = path.format(api=f"{prefix}/2.0/mlflow", api3=f"{prefix}/3.0/mlflow").replace("ID", made)
    answer = Person(either, BOB).send(method, path, json.loads(json.dumps(body).replace("ID", made)))
    if TAG in json.dumps(body) + path:  # other spellings may be other tags, as the engine sees it
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), answer.text
        assert "address that signed in" in answer.json()["message"]
    assert read(Person(either, BOB), made)[TAG] == USER


def test_who_writes_what_is_there_already_is_not_refused(either: Service) -> None:
    run = new_run(Person(either, USER))
    Person(either, BOB).ask("POST", f"{API}/runs/set-tag", {"run_id": run, "key": TAG, "value": USER})


def test_a_thing_goes_with_its_tag(either: Service) -> None:
    bob = Person(either, BOB)
    model = new_version(Person(either, USER))
    renamed = bob.ask("POST", f"{API}/registered-models/rename", {"name": model, "new_name": name()})[
        "registered_model"
    ]
    assert registered_model_tags(bob, renamed["name"])[TAG] == version_tags(bob, renamed["name"])[TAG] == USER
    bob.ask("DELETE", f"{API}/model-versions/delete", {"name": renamed["name"], "version": "1"})
    bob.ask("DELETE", f"{API}/registered-models/delete", {"name": renamed["name"]})
    trace = new_trace(Person(either, USER))
    deleted = bob.ask("POST", f"{API3}/traces/delete-traces", {"experiment_id": "0", "request_ids": [trace]})
    assert deleted["traces_deleted"] == 1
    bob.ask("DELETE", f"{API3}/datasets/{new_dataset(Person(either, USER))}")


def assessment(kind: str, source: str) -> dict[str, Any]:
    return {
        "assessment_name": "quality",
        "source": {"source_type": kind, "source_id": source},
        "feedback": {"value": 1},
        "create_time": "2026-01-01T00:00:00Z",
        "last_update_time": "2026-01-01T00:00:00Z",
    }


def assessments_of(person: Person, trace: str) -> list[dict[str, Any]]:
    return person.get(f"{API3}/traces/{trace}")["trace"]["trace_info"]["assessments"]


def test_an_assessment_carries_who_made_it(either: Service) -> None:
    ada, bob = Person(either, USER), Person(either, BOB)
    trace = new_trace(ada)
    for kind, source in (("HUMAN", LIE), ("LLM_JUDGE", "a-model")):
        body = {"assessment": {**assessment(kind, source), "trace_id": trace}}
        bob.ask("POST", f"{API3}/traces/{trace}/assessments", body)
    person, judge = sorted(assessments_of(ada, trace), key=lambda it: it["source"]["source_type"])
    assert (person["source"]["source_id"], person["metadata"]) == (BOB, {TAG: BOB, CLAIM: LIE})
    assert (judge["source"]["source_id"], judge["metadata"]) == ("a-model", {TAG: BOB})
    path = f"{API3}/traces/{trace}/assessments/{person['assessment_id']}"
    changed = {**person, "metadata": {TAG: USER}, "trace_id": trace}
    answer = ada.send("PATCH", path, {"assessment": changed, "update_mask": "metadata"})
    assert answer.status_code == 403, answer.text
    changed = {**person, "source": {"source_type": "HUMAN", "source_id": USER}, "metadata": {TAG: USER}}
    new_trace(ada, trace, [changed])  # a trace that is sent again does not change it either
    kept = next(it for it in assessments_of(ada, trace) if it["assessment_id"] == person["assessment_id"])
    assert (kept["source"]["source_id"], kept["metadata"][TAG]) == (BOB, BOB)


def test_records_of_a_dataset_carry_who_made_and_who_changed_them(either: Service) -> None:
    ada, bob = Person(either, USER), Person(either, BOB)
    dataset = new_dataset(ada)
    record = {"inputs": {"q": 1}, "tags": {TAG: LIE}}
    for person in (ada, bob):
        person.ask("POST", f"{API3}/datasets/{dataset}/records", {"records": json.dumps([record])})
    (found,) = json.loads(ada.get(f"{API3}/datasets/{dataset}/records")["records"])
    assert (found["created_by"], found["last_updated_by"]) == (USER, BOB)
    assert found["tags"] == {TAG: BOB, CLAIM: LIE}
    assert ada.get(f"{API3}/datasets/{dataset}")["dataset"]["last_updated_by"] == BOB


@pytest.mark.parametrize("tags", [[TAG], TAG, {TAG: None}, {TAG: [LIE]}])
def test_odd_tags_of_a_record_are_no_error_of_ours(either: Service, tags: Any) -> None:
    ada = Person(either, USER)
    path = f"{API3}/datasets/{new_dataset(ada)}/records"
    answer = ada.send("POST", path, {"records": json.dumps([{"inputs": {"q": 1}, "tags": tags}])})
    assert answer.status_code in {200, 400}, answer.text


def test_what_mlflow_has_columns_for_carries_it_too(either: Service) -> None:
    ada, bob = Person(either, USER), Person(either, BOB)
    issue = {"experiment_id": "0", "name": name(), "description": "d", "status": "pending", "created_by": LIE}
    assert ada.ask("POST", f"{API3}/issues", issue)["issue"]["created_by"] == USER
    server = f"com.example/{name()}"
    made = ada.ask("POST", f"{AJAX3}/mcp-servers", {"name": server, "created_by": LIE})
    assert made["created_by"] == USER
    changed = bob.ask("PATCH", f"{API3}/mcp-servers/{server}", {"description": "d"})
    assert (changed["created_by"], changed["last_updated_by"]) == (USER, BOB)
    queue = {"experiment_id": "0", "name": name(), "queue_type": "CUSTOM", "users": [BOB]}
    assert ada.ask("POST", f"{API3}/review-queues/create", queue)["review_queue"]["created_by"] == USER


def test_runs_and_traces_are_found_by_who_made_them(either: Service) -> None:
    robot = Person(either, SERVICE_ACCOUNT)
    run, trace = new_run(robot), new_trace(robot)
    for condition in (f"tags.`{TAG}` = '{SERVICE_ACCOUNT}'", f"attributes.user_id = '{SERVICE_ACCOUNT}'"):
        found = robot.ask("POST", f"{API}/runs/search", {"experiment_ids": ["0"], "filter": condition})["runs"]
        assert run in {it["info"]["run_id"] for it in found}
        assert {it["info"]["user_id"] for it in found} == {SERVICE_ACCOUNT}
    body = {
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
        "filter": f"tag.`{TAG}` = '{SERVICE_ACCOUNT}'",
    }
    assert trace in {it["trace_id"] for it in robot.ask("POST", f"{API3}/traces/search", body)["traces"]}


def logged(service: Service, folder: Path) -> list[dict[str, Any]]:
    """Returns what the service has logged, as Cloud Logging keeps it."""
    source = Source(project="acme", resource="cloud_run_revision", resource_labels={}, labels={})
    with closing(Store(folder / "books")) as store:
        book = Logbook(folder, Clock(store))
        for line in service.container.logs().splitlines():
            book.line(source, "stderr", line)
    return [dict(entry) for entry in entries(folder)]


def documented(thing: str) -> Query:
    """Returns the runbook's query, for one thing."""
    found = re.search(r"gcloud logging read '([^']*write\.ids[^']*)'", RUNBOOK.read_text())
    assert found
    return Query(found[1].replace("ID", thing))


def test_one_query_of_the_log_answers_who_deleted_what(either: Service, tmp_path: Path) -> None:
    ada, bob = Person(either, USER), Person(either, BOB)
    things = {
        new_run(ada): lambda it: bob.ask("POST", f"{API}/runs/delete", {"run_id": it}),
        new_experiment(ada): lambda it: bob.ask("POST", f"{AJAX}/experiments/delete", {"experiment_id": it}),
        new_logged_model(ada): lambda it: bob.ask("DELETE", f"{API}/logged-models/{it}"),
        new_registered_model(ada): lambda it: bob.ask("DELETE", f"{API}/registered-models/delete", {"name": it}),
        new_dataset(ada): lambda it: bob.ask("DELETE", f"{API3}/datasets/{it}"),
    }
    for thing, delete in things.items():
        delete(thing)
    server = f"com.example/{name()}"
    ada.ask("POST", f"{API3}/mcp-servers", {"name": server})
    bob.ask("DELETE", f"{API3}/mcp-servers/{server}")
    experiment = new_experiment(ada)
    info = {
        "trace_id": (trace := f"tr-{secrets.token_hex(16)}"),
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
    }
    ada.ask("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    by_age = {"experiment_id": experiment, "max_timestamp_millis": 9_000_000_000_000}
    bob.ask("POST", f"{API3}/traces/delete-traces", by_age)  # which names no trace
    last = [*things, server, trace]
    wait_for(lambda: trace in either.container.logs().rpartition("delete-traces")[2], "the last line")
    book = logged(either, tmp_path)
    for thing in last:
        found = [entry for entry in book if documented(thing).matches(entry)]
        assert [entry["jsonPayload"]["user"] for entry in found] == [BOB], thing
        assert "delete" in found[0]["jsonPayload"]["write"]["operation"].lower()
    for thing in last:  # and without the word, who made it
        made = [it for it in book if thing in it.get("jsonPayload", {}).get("write", {}).get("ids", ())]
        assert made[0]["jsonPayload"]["user"] == USER


def test_what_reads_is_no_write(either: Service, tmp_path: Path) -> None:
    run = new_run(Person(either, USER))
    bob = Person(either, BOB)
    bob.get(f"{API}/runs/get", run_id=run)
    bob.ask("POST", f"{API}/runs/search", {"experiment_ids": ["0"]})
    bob.send("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=x")
    assert [
        entry for entry in logged(either, tmp_path) if Query(f'"{run}" AND jsonPayload.user="{BOB}"').matches(entry)
    ] == []


# Names and values that are no tags: what is measured, what belongs to a feature that is off.
NO_TAGS = {"metrics", "latest_metrics", "params", "trace_metrics", "span_metrics", "endpoint_tags"}


def test_every_table_of_mlflow_with_tags_or_people_is_known() -> None:
    known = {inspect(kind).local_table.name for kind in authors.TAGS}
    for mapper in Base.registry.mappers:
        columns, table = set(mapper.columns.keys()), mapper.local_table.name
        if {"key", "value"} <= columns or {"tag_key", "tag_value"} <= columns:
            assert table in known | NO_TAGS, table
        people = {column for column in columns if re.search(r"(^user|user_id$|_by$|^owner)", column)}
        treated = set(authors.KINDS.get(mapper.class_, ()))
        owned = mapper.class_ in authors.OWNED or table == "review_queue_items"
        assert people <= treated or owned, f"{table}: {people - treated}"
