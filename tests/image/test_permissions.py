"""Permissions: person x role x route, from MLflow's own list of routes; a new route without a rule fails."""

import json
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.databases import MySql, most_connections
from harness.local import scratch_folder
from harness.service import Platform, Service
from harness.waiting import wait_for
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from tests.image.owned import (
    ADMIN,
    OWNER,
    READER,
    SETTINGS,
    STRANGER,
    Route,
    call,
    make,
    routes,
    shows,
    trace_in,
    writes,
)
from tests.image.things import API, API3, Person, name

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.features import graphql_operations

MYSQL_PEOPLE = (ADMIN, OWNER, STRANGER, READER)
# Everybody may make new ones; MLflow lists what the person may see.
CREATES = {"experiments/create", "registered-models/create", "mcp-servers"}
# MLflow keeps these for its admins, or for who is in a queue, whatever the default is.
CLOSED = {
    *("webhooks", "webhooks/{webhook_id}", "prompt-optimization/jobs/{job_id}"),
    *("review-queues/get", "review-queues/get-by-name", "review-queues/items/list"),
}


@pytest.fixture(scope="module")
def database(platform: Platform, migrated: str) -> str:
    """A database that has never heard of permissions."""
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, database: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(database), PERMISSIONS=json.dumps(SETTINGS)) as running:
        yield running


@pytest.fixture(scope="module")
def things(service: Service, platform: Platform) -> dict[str, str]:
    return make(Person(service, OWNER), platform)


def answers(service: Service, email: str, things: dict[str, str], *, reads: bool = False) -> dict[Any, httpx.Response]:
    """Calls every route, or all that read."""
    person = Person(service, email)
    chosen = [route for route in routes() if not reads or not writes(email, route)]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(chosen, pool.map(lambda route: call(person, route, things), chosen), strict=True))


def test_each_person_may_do_on_every_route_what_the_role_says(
    service: Service, platform: Platform, database: str, things: dict[str, str]
) -> None:
    with most_connections(platform.postgres, database) as connections:
        everything = {email: answers(service, email, things) for email in (READER, STRANGER)}
        everything |= {email: answers(service, email, things, reads=True) for email in (ADMIN, OWNER)}
    owned = {route for route, answer in everything[OWNER].items() if shows(answer)}
    wrong: list[str] = []
    for email, found in everything.items():
        for route, answer in found.items():
            refused = answer.status_code == httpx.codes.FORBIDDEN
            closed = route[2] in CLOSED and email != ADMIN
            if writes(email, route):
                may = email == STRANGER and route[2] in CREATES
                right = (refused or may) and not shows(answer)
            elif email == STRANGER:
                right = not shows(answer)
            else:
                right = (not refused or closed) and (shows(answer) or closed or route not in owned)
            if not right:
                wrong.append(f"{email}: {route} {answer.status_code} {answer.text[:200]}")
    assert wrong == [], "\n".join(wrong)
    print(len(everything[READER]), "routes;", len(owned), "show what the owner wrote;", max(connections), "connections")
    # Nobody was refused for want of something to see.
    assert len(owned) >= 80, sorted(owned)
    assert {"/get-artifact", "/model-versions/get-artifact"} <= {route[2] for route in owned}
    assert {f"query {one}" for one in graphql_operations()["query"]} <= {route[2] for route in owned}
    assert max(connections) <= CONNECTIONS_PER_INSTANCE


def test_whoever_made_a_thing_may_do_everything_with_it(service: Service, platform: Platform) -> None:
    """A route without a rule would be refused to its owner as well."""

    def order(route: Route) -> tuple[bool, bool, bool, int]:
        """Puts deletions last: of tags, of things in things, of things, of experiments."""
        method, template, _ = route
        gone = method == "DELETE" or "delete" in template or "remove" in template
        return "experiments/delete" in template, gone, gone and "tag" not in template, -template.count("/") * gone

    refused: list[str] = []
    for page in (True, False):
        maker = Person(service, f"{name()}@example.com")
        made = make(maker, platform)
        for route in sorted((one for one in routes() if one[1].startswith("/ajax-api/") == page), key=order):
            if writes(maker.email, route) and route[2] not in CLOSED:
                answer = call(maker, route, made)
                if answer.status_code == httpx.codes.FORBIDDEN:
                    refused.append(str(route))
    assert refused == [], "\n".join(refused)


def test_the_page_and_the_probes_are_for_everybody(service: Service) -> None:
    for email in (READER, STRANGER):
        assert {path: Person(service, email).send("GET", path).status_code for path in ("/", "/version")} == {
            "/": 200,
            "/version": 200,
        }
    assert service.ready()


def test_who_is_refused_is_told_why(service: Service, things: dict[str, str]) -> None:
    tag = {"run_id": things["run_id"], "key": "k", "value": "v"}
    server = f"{API3}/mcp-servers/{things['server']}"
    for email, words in ((READER, "permissions.readers"), (STRANGER, "Who made it may, and the admins")):
        for method, path, body in (("POST", f"{API}/runs/set-tag", tag), ("PATCH", server, {"description": "x"})):
            answer = Person(service, email).send(method, path, body)
            assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
            assert words in answer.json()["message"]


def test_a_password_changes_nothing(service: Service, things: dict[str, str]) -> None:
    tag = {"run_id": things["run_id"], "key": "k", "value": "v"}
    for header in ("X-Mlflow-Authorization", "Proxy-Authorization"):
        answer = Person(service, STRANGER).send("POST", f"{API}/runs/set-tag", tag, **{header: "Basic cm9vdDohCg=="})
        assert answer.status_code == httpx.codes.FORBIDDEN
    forms = ("/api/3.0/mlflow/users/permissions/grant", "/ajax-api/3.0/mlflow/roles/assign", "/signup")
    for path in ("/api/2.0/mlflow/users/create", "/ajax-api/2.0/mlflow/users/update-admin", *forms):
        answer = Person(service, STRANGER).send("POST", path, {"username": STRANGER, "is_admin": True})
        assert answer.status_code == httpx.codes.NOT_FOUND


def test_no_location_that_a_person_writes_down_opens_others_files(service: Service, things: dict[str, str]) -> None:
    """The server opens what the version of a model, or a trace, names; the owner may name it."""
    owner, sam = Person(service, OWNER), Person(service, STRANGER)
    theirs = str(owner.ask("GET", f"{API}/runs/get?run_id={things['run_id']}")["run"]["info"]["artifact_uri"])
    own = sam.ask("POST", f"{API}/experiments/create", {"name": name()})["experiment_id"]
    trace = trace_in(sam, own)
    folder = theirs.rpartition("/")[0]

    def tries(person: Person, place: str) -> list[int]:
        called = person.ask("POST", f"{API}/registered-models/create", {"name": name()})["registered_model"]["name"]
        tag = {"key": "mlflow.artifactLocation", "value": place}
        return [
            person.send("POST", f"{API}/model-versions/create", {"name": called, "source": place}).status_code,
            person.send("PATCH", f"{API3}/traces/{trace}/tags", tag).status_code,
            person.send("POST", f"{API}/experiments/create", {"name": name(), "artifact_location": place}).status_code,
        ]

    for place in (theirs, f"{theirs}/f/", folder, "gs://artifacts", "gs://artifacts/"):
        assert {*tries(sam, place)} <= {400, 403}, place
    named = owner.send("POST", f"{API}/model-versions/create", {"name": things["name"], "source": theirs})
    assert named.is_success
    assert sam.send("POST", f"{API}/runs/create", {"experiment_id": own}).is_success
    assert tries(sam, f"gs://artifacts/{own}/x")[:2] == [200, 200]
    # A folder that is nobody's yet is no way to the files of whoever gets it.
    ahead = f"gs://artifacts/{int(own) + 5}"
    assert sam.send("POST", f"{API}/experiments/create", {"name": name(), "artifact_location": ahead}).is_success
    for _ in range(9):
        last = owner.ask("POST", f"{API}/experiments/create", {"name": name()})["experiment_id"]
    assert int(last) > int(own) + 5
    assert tries(sam, f"{ahead}/run/artifacts")[:2] == [403, 403]


def test_without_its_database_it_lets_nobody_do_anything(
    service: Service, platform: Platform, things: dict[str, str]
) -> None:
    calls = [f"{API}/runs/get?run_id={things['run_id']}", f"{API3}/mcp-servers/{things['server']}"]
    platform.postgres.stop()
    try:
        found = [Person(service, ADMIN).send("GET", path) for path in calls]
    finally:
        platform.postgres.start()
    assert [answer.status_code for answer in found] == [503, 503]
    wait_for(lambda: Person(service, ADMIN).send("GET", calls[0]).is_success, "recovery")


def test_while_permissions_wait_for_the_database_others_are_answered(
    service: Service, platform: Platform, database: str, things: dict[str, str]
) -> None:
    server, health = f"{API3}/mcp-servers/{things['server']}", "/health"
    with (
        ThreadPoolExecutor(1) as pool,
        platform.postgres.holding("LOCK TABLE users IN ACCESS EXCLUSIVE MODE", database=database),
    ):
        waiting = pool.submit(Person(service, OWNER).send, "GET", server)  # FastAPI's
        waits = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'"  # noqa: S608
        wait_for(lambda: platform.postgres.execute(waits), "the wait for the lock")
        assert Person(service, OWNER).send("GET", health).is_success
        assert not waiting.done()
    assert waiting.result().is_success


def test_two_instances_let_whoever_comes_first_to_both_in(
    service: Service, platform: Platform, database: str, things: dict[str, str]
) -> None:
    """The second one starts with other lists: who has left one loses what it gave."""
    with ExitStack() as stack:
        lists = SETTINGS | {"admins": [STRANGER], "readers": []}
        other = stack.enter_context(platform.service(platform.postgres.uri(database), PERMISSIONS=json.dumps(lists)))
        path = f"{API}/experiments/get?experiment_id={things['experiment_id']}"
        statuses = {
            email: Person(other, email).send("GET", path).status_code for email in (ADMIN, READER, STRANGER, OWNER)
        }
        assert statuses == {ADMIN: 403, READER: 403, STRANGER: 200, OWNER: 200}
        pool = stack.enter_context(ThreadPoolExecutor(8))
        for _ in range(5):
            email = f"{name()}@example.com"
            made = [
                pool.submit(Person(one, email).send, "POST", f"{API}/experiments/create", {"name": name()})
                for one in (service, other) * 4
            ]
            assert {it.result().status_code for it in made} == {200}


def test_a_job_knows_the_schema_of_permissions(service: Service, platform: Platform, database: str) -> None:
    assert service.ready()  # it has made the schema
    ((newest,),) = platform.postgres.execute("SELECT version_num FROM alembic_version_auth", database=database)

    def verify() -> tuple[int, str]:
        spec = platform.job(database, "verify")
        return platform.ends(replace(spec, environment={**spec.environment, "PERMISSIONS": json.dumps(SETTINGS)}))

    _, log = verify()
    found = json.loads(log.splitlines()[-1])["summary"]["schema_of_permissions"]
    assert found == {"found": newest, "needed": newest}, log
    platform.postgres.execute("UPDATE alembic_version_auth SET version_num = 'ffffffffffff'", database=database)
    try:
        status, log = verify()
        assert (status, "Deploy the newer image again" in log) == (65, True), log
    finally:
        back = f"UPDATE alembic_version_auth SET version_num = '{newest}'"  # noqa: S608
        platform.postgres.execute(back, database=database)


def test_on_mysql_who_may_edit_may_not_delete_and_a_team_is_among_itself(platform: Platform) -> None:
    chosen = json.dumps(SETTINGS | {"default": "EDIT", "teams": {"vision": [OWNER]}})
    with scratch_folder() as folder:
        mysql = MySql(folder / "mysql")
        try:
            with platform.service(mysql.uri(), sockets=mysql.sockets, PERMISSIONS=chosen) as running:
                made = Person(running, OWNER).ask("POST", f"{API}/experiments/create", {"name": name()})
                path = f"{API}/experiments/get?experiment_id={made['experiment_id']}"
                tag = {"experiment_id": made["experiment_id"], "key": "k", "value": "v"}
                people = [Person(running, email) for email in MYSQL_PEOPLE]
                assert [one.send("GET", path).status_code for one in people] == [200] * 4
                changed = [one.send("POST", f"{API}/experiments/set-experiment-tag", tag).status_code for one in people]
                assert changed == [200, 200, 200, 403]
                # Accents and case are nothing to MySQL's comparison: nobody is taken for an admin of a similar name.
                for similar in ("r\u00f3ot@example.com", "r\u00f6ot@example.com", "root@example.com\u00a0"):
                    answer = Person(running, similar).send("GET", f"{API}/webhooks")
                    assert answer.status_code == httpx.codes.FORBIDDEN, similar
                ours = Person(running, OWNER, "vision")
                made_there = ours.ask("POST", f"{API}/experiments/create", {"name": name()})
                there = f"{API}/experiments/get?experiment_id={made_there['experiment_id']}"
                statuses = [Person(running, email, "vision").send("GET", there).status_code for email in MYSQL_PEOPLE]
                assert statuses == [200, 200, 404, 200]
                assert not Person(running, OWNER).send("GET", there).is_success
                deleted = [
                    one.send("POST", f"{API}/experiments/delete", {"experiment_id": made["experiment_id"]}).status_code
                    for one in reversed(people)
                ]
                assert deleted[:3] == [403, 403, 200]
            off = platform.spec(mysql.uri(), sockets=mysql.sockets)
            status, log = platform.ends(replace(off, command=("leave-teams",)))
            assert (status, json.loads(log.splitlines()[-1])["summary"]["moved"]) == (0, {"experiments": 1}), log
        finally:
            mysql.stop()
