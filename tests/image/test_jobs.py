"""gc and archive-traces beside the service, on both engines, with buckets that ask IAM: what they do, leave and say."""

import signal
import sys
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun.jobs import command, connection

from harness.databases import MySql, Postgres
from harness.load import API
from harness.service import Platform
from harness.waiting import wait_for
from tests.image.collected import LONG_AGO, World, made_world, old, spans_of, trace
from tests.image.deployment import COLLECTOR, ROOT, Deployment, Outcome, deployed

EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM = 64, 65, 69, 75, 77
# What the engine makes no difference to.
postgresql_alone = pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
TABLES = ("runs", "metrics", "latest_metrics", "params", "tags")


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def deployment(request: pytest.FixtureRequest, platform: Platform, scratch: Path) -> Generator[Deployment]:
    folder = Path(mkdtemp(dir=scratch))
    folder.chmod(0o755)
    if request.param == "postgresql":
        postgres, database = platform.postgres, platform.postgres.create()
        execute = partial(postgres.execute, database=database)
        with deployed(platform, postgres.uri(database), postgres.sockets, execute, folder) as running:
            holding = partial(postgres.holding, database=database, commit=True)
            yield replace(running, holding=holding)
        return
    mysql = MySql(folder / "mysql")
    try:
        execute = partial(mysql.execute, database="mlflow")
        with deployed(platform, mysql.uri(), mysql.sockets, execute, folder) as running:
            yield running
    finally:
        mysql.stop()


@pytest.fixture(scope="module")
def world(deployment: Deployment) -> World:
    return made_world(deployment)


@pytest.fixture(scope="module")
def refused(deployment: Deployment, world: World) -> Outcome:  # noqa: ARG001  what it is refused
    """A collection by the server's own account, which may read only; it comes first, and changes nothing."""
    return deployment.job("gc", account=deployment.server)


@pytest.fixture(scope="module")
def collection(deployment: Deployment, world: World, refused: Outcome) -> Outcome:  # noqa: ARG001  it comes after
    return deployment.job("gc", "--older-than=0s")


def test_gc_without_rights_says_which_role_on_what_for_whom_and_changes_nothing(
    deployment: Deployment, world: World, refused: Outcome
) -> None:
    assert refused.status == EX_NOPERM, refused.log
    (told,) = [entry for entry in refused.entries if entry["severity"] == "ERROR" and "missing" in entry]
    assert told["missing"] == {"role": "roles/storage.objectUser", "on": ROOT, "for": deployment.server}
    assert f"{deployment.server} may not delete objects in {ROOT}: it needs roles/storage.objectUser" in told["message"]
    assert "Traceback" not in refused.log
    (left,) = refused.about(world.old)
    assert (left["kind"], left["reason"]) == ("runs", "forbidden")
    assert refused.summary["failed"]["runs"] >= 1
    assert "collected" not in refused.summary


def test_gc_takes_what_was_deleted_long_ago_with_its_files(
    deployment: Deployment, world: World, collection: Outcome
) -> None:
    for run in (world.old, world.ageless, world.of_experiment):
        assert deployment.files(f"0/{run}/") == []
        assert [deployment.count(table, f"run_uuid = '{run}'") for table in TABLES] == [0] * len(TABLES)
        assert deployment.count("inputs", f"source_id = '{run}'") == 0
    for model in (world.model, world.model_of_experiment):
        assert deployment.count("logged_models", f"model_id = '{model}'") == 0
        assert deployment.count("inputs", f"destination_id = '{model}'") == 0
    assert deployment.count("experiments", f"experiment_id = {world.experiment}") == 0
    assert deployment.count("trace_info", f"request_id = '{world.trace_of_experiment}'") == 0
    assert deployment.files(f"{world.experiment}/") == []
    assert deployment.files(f"0/models/{world.model}/") == []
    assert deployment.files(f"0/traces/{world.deleted_trace}/") == []
    gone = (world.old, world.model, world.experiment, world.trace_of_experiment)
    for name in gone:  # who did it: the job's account
        (told,) = [entry for entry in collection.entries if name in entry.get("write", {}).get("ids", ())]
        assert (told["user"], told["write"]["operation"]) == (COLLECTOR, "gc")
    assert collection.entries[-1]["user"] == COLLECTOR
    assert collection.summary["collected"] == {
        "runs": 3,
        "logged_models": 2,
        "experiments": 1,
        "traces": 1,
        "files": 30 + 2 + 2 + 1 + 1 + 1 + 1,
    }


def test_gc_leaves_everything_else_as_it_is(deployment: Deployment, world: World, collection: Outcome) -> None:
    for run in (world.active, world.registered):
        assert len(deployment.files(f"0/{run}/")) == 2
        assert deployment.count("metrics", f"run_uuid = '{run}'") == 3
    assert deployment.count("runs", f"run_uuid = '{world.recent}'") == 1
    assert deployment.count("trace_info", f"request_id = '{world.trace}'") == 1
    assert len(deployment.files(f"0/traces/{world.trace}/")) == 1
    assert deployment.count("experiments", f"experiment_id = {world.held_experiment}") == 1
    (kept,) = collection.about(world.registered)
    assert "version 1 of the registered model 'kept' lies in its files" in kept["message"]
    (kept,) = collection.about(world.held_experiment)
    assert "it still holds 1 runs" in kept["message"]


@pytest.mark.parametrize(
    ("run", "told"),
    [("foreign", "its files are at mlflow-artifacts:/0/x/artifacts"), ("at_the_root", "also be the files of others")],
)
def test_gc_tells_what_it_left_and_goes_on(
    deployment: Deployment, world: World, collection: Outcome, run: str, told: str
) -> None:
    assert collection.status == EX_TEMPFAIL, collection.log
    (left,) = collection.about(getattr(world, run))
    assert left["reason"] == "foreign"
    assert told in left["message"]
    assert deployment.count("runs", f"run_uuid = '{getattr(world, run)}'") == 1
    assert collection.summary["failed"] == {"runs": 2}
    assert collection.summary["status"] == EX_TEMPFAIL


def test_archived_traces_lie_in_the_bucket_are_read_by_the_server_and_go_when_they_are_deleted(
    deployment: Deployment,
) -> None:
    archived, recent = trace(deployment, "0"), trace(deployment, "0")
    of_team = deployment.call("POST", "experiments/create", name="of a team")["experiment_id"]
    teams = trace(deployment, of_team)
    old = f"request_id IN ('{archived}', '{teams}')"
    deployment.execute(f"UPDATE trace_info SET timestamp_ms = {LONG_AGO} WHERE {old}")  # noqa: S608
    place = f"UPDATE experiments SET workspace = '%s' WHERE experiment_id = {of_team}"  # noqa: S608
    deployment.execute(place % "vision")
    refused = deployment.job("archive-traces", "--older-than=1d", account=deployment.server)
    assert refused.status == EX_NOPERM, refused.log
    assert f"{deployment.server} may not create objects in {ROOT}: it needs roles/storage.objectUser" in refused.log
    assert "Traceback" not in refused.log
    outcome = deployment.job("archive-traces", "--older-than=1d")
    assert outcome.status == 0, outcome.log
    assert outcome.summary["archived"] == {"traces": 2}
    deployment.execute(place % "default")
    in_team = f"workspaces/vision/{of_team}/traces/{teams}/"
    assert deployment.files(in_team) == [f"{in_team}artifacts/traces.pb"]
    assert spans_of(deployment, teams) == ["asked"]
    assert f"0/traces/{archived}/artifacts/traces.pb" in deployment.files(f"0/traces/{archived}/")
    assert deployment.count("spans", f"trace_id = '{archived}' AND content <> ''") == 0
    assert deployment.count("spans", f"trace_id = '{recent}' AND content <> ''") == 1
    assert spans_of(deployment, archived) == spans_of(deployment, recent) == ["asked"]
    answer = deployment.call("POST", "traces/delete-traces", experiment_id="0", request_ids=[archived])
    assert answer == {"traces_deleted": 1}
    assert deployment.count("trace_info", f"request_id = '{archived}'") == 0
    assert deployment.job("gc", "--older-than=0s").summary["collected"] == {"files": 2}
    assert deployment.files(f"0/traces/{archived}/") == []


@pytest.mark.parametrize(
    "arguments",
    [["--older-than=30"], ["--older-than="], ["--older-than=-1d"], ["--older-than=9999999d"], ["--run-ids=x"], ["30d"]],
)
def test_a_wrong_option_is_refused_with_the_right_ones(arguments: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parser_of("gc").parse_args(arguments)
    assert ended.value.code == EX_USAGE
    assert "usage: gc [--older-than AGE, as 30d or 1d12h]" in caplog.text


def test_a_job_without_a_database_says_what_may_be_missing_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "PAUSES_S", (0, 0))
    monkeypatch.setenv("DEFAULT_ARTIFACT_ROOT", ROOT)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert command.run("gc", [], "postgresql+psycopg2://mlflow:hidden@/mlflow?host=/nowhere") == EX_UNAVAILABLE
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "the database does not answer" in caplog.text
    assert "this job's account does not have roles/cloudsql.client" in caplog.text
    assert "hidden" not in caplog.text


def test_an_age_is_days_hours_minutes_and_seconds() -> None:
    ages = ("30d", "1d12h", "90m", "0s")
    assert [command.parser_of("gc").parse_args([f"--older-than={age}"]).older_than for age in ages] == [
        30 * 86_400,
        36 * 3600,
        5400,
        0,
    ]


@postgresql_alone
def test_two_collections_at_once_of_which_one_is_killed_leave_nothing(deployment: Deployment) -> None:
    runs = [old(deployment, deployment.run()) for _ in range(20)]
    names = ", ".join(f"'{run}'" for run in runs)

    def left() -> int:
        return deployment.count("runs", f"run_uuid IN ({names})")

    with deployment.running("gc", "--older-than=0s") as killed, deployment.running("gc", "--older-than=0s") as other:
        wait_for(lambda: left() < len(runs), "the first collected run")
        killed.signal("KILL")
        killed.wait(10)
        assert other.wait(60) in {0, EX_TEMPFAIL}, other.logs()
    assert left() == 0
    assert [name for run in runs for name in deployment.files(f"0/{run}/")] == []


@postgresql_alone
def test_a_run_that_is_restored_meanwhile_stays_as_it_is(deployment: Deployment) -> None:
    run = old(deployment, deployment.run())
    restore = f"UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = '{run}'"  # noqa: S608
    waiting = "state = 'active' AND wait_event_type = 'Lock' AND query LIKE '%runs%'"
    with deployment.running("gc", "--older-than=0s") as job:
        with deployment.holding(restore):
            wait_for(lambda: deployment.count("pg_stat_activity", waiting), "gc at the run")
        job.wait(60)
    assert len(deployment.files(f"0/{run}/")) == 2
    assert deployment.count("runs", f"run_uuid = '{run}' AND lifecycle_stage = 'active'") == 1


@postgresql_alone
def test_who_restores_a_run_that_is_being_collected_is_told_that_it_is_gone(deployment: Deployment) -> None:
    run = old(deployment, deployment.run(files=150))
    own = "datname = current_database()"
    before = deployment.count("pg_stat_activity", own)
    with deployment.running("gc", "--older-than=0s") as job:
        wait_for(lambda: len(deployment.files(f"0/{run}/")) < 150, "the first deleted file")
        assert deployment.count("pg_stat_activity", own) - before <= 1
        headers = deployment.service.bearer()
        answer = deployment.service.http.post(f"{API}/runs/restore", json={"run_id": run}, headers=headers)
        job.wait(60)
    assert answer.is_client_error, answer.text
    assert deployment.files(f"0/{run}/") == []
    assert deployment.count("runs", f"run_uuid = '{run}'") == 0


@postgresql_alone
def test_gc_goes_on_when_the_database_is_back(deployment: Deployment, postgres: Postgres) -> None:
    runs = [old(deployment, deployment.run()) for _ in range(20)]
    names = ", ".join(f"'{run}'" for run in runs)
    with deployment.running("gc", "--older-than=0s") as job:
        wait_for(lambda: deployment.count("runs", f"run_uuid IN ({names})") < len(runs), "the first collected run")
        postgres.stop()
        postgres.start()
        assert job.wait(60) in {0, EX_TEMPFAIL}, job.logs()
        assert "The database does not answer; trying again" in job.logs()
    assert deployment.count("runs", f"run_uuid IN ({names})") == 0


def test_a_job_of_an_older_image_leaves_a_newer_schema_alone(
    platform: Platform, postgres: Postgres, database: str
) -> None:
    postgres.execute("UPDATE alembic_version SET version_num = 'fromthefuture'", database=database)
    status, log = platform.ends(platform.job(database, "gc"))
    assert status == EX_DATAERR, log
    assert "a newer MLflow migrated it" in log


@postgresql_alone
def test_the_server_imports_no_job(deployment: Deployment) -> None:
    program = (
        "import mlflow_cloudrun.application, sys; print([name for name in sys.modules if 'cloudrun.jobs' in name])"
    )
    printed = deployment.service.container.execute("/opt/mlflow/bin/python", "-W", "ignore", "-c", program)
    assert printed.strip() == "[]"
