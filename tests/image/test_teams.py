"""Teams, each a workspace of MLflow's: who sees and changes what in whose, what a change of the settings does to it."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from harness.databases import most_connections
from harness.service import Platform, Service
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from tests.image.owned import MARK, call, make, routes, shows, writes
from tests.image.things import AJAX3, API, API3, LIES, Person, name, tags_of

ADMIN, OLGA, VERA, SAM, RITA, NOBODY = (f"{name}@example.com" for name in ("root", "olga", "vera", "sam", "rita", "no"))
SETTINGS: dict[str, Any] = {
    "default": "NO_PERMISSIONS",
    "admins": [ADMIN],
    "readers": [RITA],
    "teams": {"vision": [OLGA, VERA], "speech": [SAM]},
}
HEADER = "X-MLFLOW-WORKSPACE"
WORKSPACES = f"{AJAX3}/workspaces"


@pytest.fixture(scope="module")
def database(platform: Platform, migrated: str) -> str:
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, database: str) -> Generator[Service]:
    with platform.service(platform.postgres.uri(database), PERMISSIONS=json.dumps(SETTINGS)) as running:
        yield running


@pytest.fixture(scope="module")
def things(service: Service, platform: Platform) -> dict[str, str]:
    """What Olga made in her team's workspace, one of each kind."""
    return make(Person(service, OLGA, "vision"), platform)


def test_on_no_route_does_a_team_see_or_change_what_is_anothers(
    service: Service, platform: Platform, database: str, things: dict[str, str]
) -> None:
    """Whatever workspace the request names; what of it reads shows it to the team, its admins and its readers."""
    wrong: list[str] = []
    shown: dict[str, set[Any]] = {}
    people = [
        *(Person(service, SAM, place) for place in ("", "speech", "vision")),
        *(Person(service, email, "vision") for email in (VERA, RITA)),
    ]
    for person in people:
        strange = person.email == SAM
        chosen = [route for route in routes("permissions.teams") if strange or not writes(person.email, route)]
        with most_connections(platform.postgres, database) as connections, ThreadPoolExecutor(4) as pool:
            answers = dict(
                zip(chosen, pool.map(lambda route, who=person: call(who, route, things), chosen), strict=True)
            )
        assert max(connections) <= CONNECTIONS_PER_INSTANCE
        shown[person.email] = {route for route, answer in answers.items() if shows(answer)}
        wrong += [
            f"{person}: {route} {answer.status_code} {answer.text[:200]}"
            for route, answer in answers.items()
            if strange
            and (
                shows(answer) or (answer.is_success and person.workspace == "vision" and "server-info" not in route[1])
            )
        ]
    assert wrong == [], "\n".join(wrong)
    assert len(shown[VERA]) >= 80, sorted(shown[VERA])
    assert shown[RITA] == shown[VERA]
    # Nothing of it was changed.
    run = Person(service, VERA, "vision").ask("GET", f"{API}/runs/get?run_id={things['run_id']}")["run"]
    assert (run["info"]["lifecycle_stage"], tags_of(run["data"]["tags"])["t"]) == ("active", MARK)


def test_a_member_may_do_everything_in_the_teams_workspace_and_a_reader_changes_nothing(
    service: Service, things: dict[str, str]
) -> None:
    tag = {"run_id": things["run_id"], "key": "k", "value": "v"}
    server = f"{API3}/mcp-servers/{things['server']}"
    for email, statuses in ((VERA, [200, 200]), (ADMIN, [200, 200]), (RITA, [403, 403]), (NOBODY, [404, 404])):
        person = Person(service, email, "vision")
        calls = (("POST", f"{API}/runs/set-tag", tag), ("PATCH", server, {"description": MARK}))
        assert [person.send(*one).status_code for one in calls] == statuses, email


def test_the_workspace_of_everybody_is_as_it_is_without_teams(service: Service) -> None:
    made = Person(service, SAM).ask("POST", f"{API}/experiments/create", {"name": name()})
    path = f"{API}/experiments/get?experiment_id={made['experiment_id']}"
    found = {email: Person(service, email).send("GET", path).status_code for email in (SAM, OLGA, RITA, ADMIN, NOBODY)}
    assert found == {SAM: 200, OLGA: 403, RITA: 200, ADMIN: 200, NOBODY: 403}
    named = Person(service, SAM, "default").ask("GET", path)["experiment"]
    assert named["artifact_location"] == f"gs://artifacts/{made['experiment_id']}"
    assert Person(service, SAM, "speech").send("GET", path).status_code in (403, 404)


def test_a_team_has_files_and_names_of_its_own(service: Service) -> None:
    called = name()
    for email, team in ((VERA, "vision"), (SAM, "speech")):
        person = Person(service, email, team)
        made = person.ask("POST", f"{API}/experiments/create", {"name": called})["experiment_id"]
        person.ask("POST", f"{API}/registered-models/create", {"name": called})
        found = person.ask("GET", f"{API}/experiments/get?experiment_id={made}")["experiment"]
        assert found["artifact_location"] == f"gs://artifacts/workspaces/{team}/{made}"


def test_whoever_did_it_is_in_a_team_too_what_the_gate_saw(service: Service, things: dict[str, str]) -> None:
    body = {"experiment_id": things["experiment_id"], "tags": LIES, "user_id": "root"}
    run = Person(service, VERA, "vision").ask("POST", f"{API}/runs/create", body)["run"]
    assert (run["info"]["user_id"], tags_of(run["data"]["tags"])["mlflow.user"]) == (VERA, VERA)
    Person(service, VERA, "vision").ask("POST", f"{API}/runs/delete", {"run_id": run["info"]["run_id"]})
    entries = [json.loads(line) for line in service.container.logs().splitlines()]
    done = [one for one in entries if one.get("write", {}).get("operation", "").endswith("runs/delete")]
    (told,) = [one for one in done if run["info"]["run_id"] in one["write"]["ids"]]
    assert (told["user"], told["workspace"]) == (VERA, "vision")


def test_each_is_shown_their_own_workspaces_and_nobody_makes_one(service: Service) -> None:
    def shown(email: str) -> list[str]:
        return [one["name"] for one in Person(service, email).ask("GET", WORKSPACES)["workspaces"]]

    assert {email: shown(email) for email in (OLGA, SAM, NOBODY, ADMIN, RITA)} == {
        OLGA: ["default", "vision"],
        SAM: ["default", "speech"],
        NOBODY: ["default"],
        **{email: ["default", "speech", "vision"] for email in (ADMIN, RITA)},
    }
    assert Person(service, OLGA).ask("GET", f"{WORKSPACES}/vision")["workspace"]["name"] == "vision"
    statuses = {Person(service, SAM).send("GET", f"{WORKSPACES}/{team}").status_code for team in ("vision", "absent")}
    assert statuses <= {403, 404}, "one answer for what is not theirs and for what is not"
    assert len(statuses) == 1
    for method, path in (("POST", WORKSPACES), ("PATCH", f"{WORKSPACES}/speech"), ("DELETE", f"{WORKSPACES}/speech")):
        answer = Person(service, ADMIN).send(method, path, {"name": "mine"})
        assert (answer.status_code, "the settings alone" in answer.text) == (501, True)


@pytest.mark.parametrize(
    "named",
    [
        [(HEADER, "vision")],
        [(HEADER, "Vision")],
        [(HEADER, "VISION")],
        [(HEADER, "..")],
        [(HEADER, "../vision")],
        [(HEADER, "speech/../vision")],
        [(HEADER, "speech, vision")],
        [(HEADER, "v%69sion")],
        [(HEADER, "*")],
        [(HEADER, "visi\u00f6n".encode().decode("latin-1"))],
        [(HEADER, "x" * 5000)],
        [(HEADER, "speech"), (HEADER, "vision")],
        [(HEADER, "vision"), (HEADER, "speech")],
        [(HEADER, "speech"), (HEADER.lower(), "vision")],
        [(HEADER, "speech"), ("X_MLFLOW_WORKSPACE", "vision")],
        [("X_MLFLOW-WORKSPACE", "vision")],
        [("X_MLFLOW_WORKSPACE", "vision"), (HEADER, "speech")],
    ],
    ids=str,
)
def test_no_spelling_of_the_header_opens_another_teams_workspace(
    service: Service, things: dict[str, str], named: list[tuple[str, str]]
) -> None:
    """Flask's routes and FastAPI's; nothing of the workspace that was named comes back, and nothing fails."""
    headers = [*Person(service, SAM).headers().items(), *named]
    for path in (
        f"{API}/runs/get?run_id={things['run_id']}",
        f"{API}/experiments/search?max_results=100",
        f"/get-artifact?run_uuid={things['run_id']}&path=f",
        f"{API3}/mcp-servers/{things['server']}",
        f"{API3}/mcp-servers",
    ):
        answer = service.http.get(path, headers=[(key.encode(), value.encode("latin-1")) for key, value in headers])
        assert answer.status_code < 500, (path, answer.text)
        assert not shows(answer), path
        assert things["experiment_id"] not in [one.get("experiment_id") for one in experiments(answer)]


def experiments(answer: httpx.Response) -> list[dict[str, Any]]:
    return answer.json().get("experiments", []) if answer.headers["content-type"].startswith("application/json") else []


def test_no_name_of_another_teams_files_opens_them(service: Service, things: dict[str, str]) -> None:
    """A person may write down where a version of a model lies, and a trace's files: never where others' are."""
    vera, sam = Person(service, VERA, "vision"), Person(service, SAM, "speech")
    run = vera.ask("GET", f"{API}/runs/get?run_id={things['run_id']}")["run"]["info"]
    theirs = str(run["artifact_uri"])
    own = sam.ask("POST", f"{API}/experiments/create", {"name": name()})["experiment_id"]
    mine = sam.ask("POST", f"{API}/runs/create", {"experiment_id": own})["run"]["info"]
    opened: list[str] = []
    places = {
        theirs: "f",
        f"{theirs}/": "f",
        "gs://artifacts": f"{theirs.removeprefix('gs://artifacts/')}/f",
        "gs://artifacts/": f"{theirs.removeprefix('gs://artifacts/')}/f",
        "gs://artifacts/workspaces": f"{theirs.removeprefix('gs://artifacts/workspaces/')}/f",
        "gs://artifacts/workspaces/vision": f"{theirs.removeprefix('gs://artifacts/workspaces/vision/')}/f",
        f"runs:/{things['run_id']}": "f",
        f"runs:/{things['run_id']}/x": MARK,
        f"models:/{things['model_id']}": "f",
        f"models:/{things['name']}/1": "f",
    }
    for place in (Person(service, SAM, "speech"), Person(service, SAM)):
        for source, path in places.items():
            called = name()
            place.ask("POST", f"{API}/registered-models/create", {"name": called})
            version = {"name": called, "source": source}
            made = place.send("POST", f"{API}/model-versions/create", version)
            own_run = place.send("POST", f"{API}/model-versions/create", version | {"run_id": mine["run_id"]})
            for answer in (made, own_run):
                if answer.is_success:
                    number = answer.json()["model_version"]["version"]
                    query = {"name": called, "version": number, "path": path}
                    got = service.http.get("/model-versions/get-artifact", params=query, headers=place.headers())
                    opened += [f"{place.workspace} {source}"] * shows(got)
        for path in (f"../../../{theirs.removeprefix('gs://artifacts/')}/f", f"workspaces/vision/{things['run_id']}/f"):
            got = service.http.get(
                "/get-artifact", params={"run_uuid": mine["run_id"], "path": path}, headers=place.headers()
            )
            assert not got.is_success
        chosen = {"name": name(), "artifact_location": theirs}
        assert not place.send("POST", f"{API}/experiments/create", chosen).is_success
    assert opened == []


def test_what_a_change_of_the_settings_does(
    service: Service, platform: Platform, database: str, things: dict[str, str]
) -> None:
    """Who leaves a team has left; a team that nobody names is out of reach, and everybody's by a job alone."""
    uri = platform.postgres.uri(database)
    Person(service, SAM, "speech").ask("POST", f"{API}/experiments/create", {"name": "same"})
    Person(service, VERA, "vision").ask("POST", f"{API}/experiments/create", {"name": "same"})
    path = f"{API}/runs/get?run_id={things['run_id']}"

    def job(*command: str, **lists: object) -> tuple[int, str]:
        spec = platform.job(database, *command)
        told = {"PERMISSIONS": json.dumps(SETTINGS | lists)} if lists else {}
        return platform.ends(replace(spec, environment=spec.environment | told))

    with platform.service(uri, PERMISSIONS=json.dumps(SETTINGS | {"teams": {"vision": [VERA]}})) as fewer:
        assert Person(fewer, OLGA, "vision").send("GET", path).status_code == httpx.codes.NOT_FOUND
        assert Person(fewer, VERA, "vision").send("GET", path).is_success
        for email in (SAM, ADMIN):
            assert Person(fewer, email, "speech").send("GET", path).status_code == httpx.codes.NOT_FOUND
        assert "permissions.teams does not name: speech (" in fewer.container.logs()
        # Olga made it, and made it as a member.
        rows = "SELECT count(*) FROM user_role_assignments a JOIN users u ON u.id = a.user_id WHERE username = '%s'"
        assert platform.postgres.execute(rows % OLGA, database=database) == [(0,)]
    with platform.service(uri, wait=False, PERMISSIONS=json.dumps(SETTINGS | {"teams": {}})) as without:
        assert without.container.wait(120) == 78
        assert "run this image as a job with: leave-teams" in without.container.logs()
    status, log = job("leave-teams", teams={"vision": [VERA]})
    assert (status, "permissions.teams names vision" in log) == (65, True), log
    status, log = job("leave-teams", teams={})
    assert (status, "name='same', workspace='speech'" in log) == (65, True), log
    for table in ("registered_models", "experiments"):
        renamed = f"UPDATE {table} SET name = workspace || name WHERE workspace <> 'default'"  # noqa: S608
        platform.postgres.execute(renamed, database=database)
    status, log = job("leave-teams", "--dry-run", teams={})
    assert (status, json.loads(log.splitlines()[-1])["summary"]["to move"]["experiments"] > 2) == (0, True), log
    status, log = job("leave-teams", teams={})
    assert (status, json.loads(log.splitlines()[-1])["summary"]["moved"]["experiments"] > 2) == (0, True), log
    with ExitStack() as stack:
        after = stack.enter_context(platform.service(uri, PERMISSIONS=json.dumps(SETTINGS | {"teams": {}})))
        found = {email: Person(after, email).send("GET", path).status_code for email in (ADMIN, RITA, VERA, SAM)}
        assert found == {ADMIN: 200, RITA: 200, VERA: 403, SAM: 403}
        artifact = f"/get-artifact?run_uuid={things['run_id']}&path=f"
        assert Person(after, ADMIN).send("GET", artifact).text == MARK
        assert not Person(after, VERA, "vision").send("GET", path).is_success
