"""Moving in: what MLflow 1.30, 2.2, 2.16 and 3.0 have really made comes into a deployment, counted before and after."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.databases import PASSWORD, MySql, Postgres
from harness.load import API
from harness.service import Platform
from harness.waiting import wait_for
from tests.image import old_packages
from tests.image.deployment import ROOT, Deployment, Outcome, deployed

pytestmark = pytest.mark.long

PROGRAM = Path(__file__).parent / "old_mlflow.py"
VERSIONS = [
    "1.30.1",
    pytest.param("2.2.2", marks=pytest.mark.rehearsal),
    pytest.param("2.16.2", marks=pytest.mark.rehearsal),
    "3.0.1",
]
Versions = Callable[[str], Path]
COUNTS = {
    "experiments": 3,
    "runs": 6,
    "metrics": 6 * 22,
    "latest_metrics": 6 * 3,
    "params": 6 * 2,
    "registered_models": 1,
    "model_versions": 2,
}
EX_DATAERR = 65


@pytest.fixture(scope="module")
def deployment(platform: Platform, scratch: Path) -> Generator[Deployment]:
    folder = Path(mkdtemp(dir=scratch))
    folder.chmod(0o755)
    postgres, database = platform.postgres, platform.postgres.create()
    execute = partial(postgres.execute, database=database)
    with deployed(platform, postgres.uri(database), postgres.sockets, execute, folder) as running:
        yield running


def fill(packages: Path, folder: Path, uri: str, artifacts: str) -> None:
    """Lets an older MLflow fill a store."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-S", "-W", "ignore", str(PROGRAM), uri, artifacts]
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd=folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Older MLflows, each in a folder of its own, installed when it is asked for first."""

    @cache
    def install(version: str) -> Path:
        folder = tmp_path_factory.mktemp("mlflow")
        old_packages.install(version, folder, "setuptools<81")  # the first two import pkg_resources
        return folder

    return install


@pytest.fixture(scope="module")
def left_behind(package: Versions, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Folders with `mlflow.db` and `files` of a version, and with `mlruns` of a 2.x."""

    @cache
    def make(version: str) -> Path:
        folder = tmp_path_factory.mktemp("left")
        if version == "mlruns":
            fill(package("2.16.2"), folder, f"{folder}/mlruns", "")
        else:
            fill(package(version), folder, f"sqlite:///{folder}/mlflow.db", f"{folder}/files")
        return folder

    return make


def upload(deployment: Deployment, folder: Path, name: str) -> str:
    """Copies a folder into the bucket, as `gcloud storage cp --recursive` does; returns where it is."""
    for file in folder.rglob("*"):
        if file.is_file():
            deployment.bucket.blob(f"moved/{name}/{file.relative_to(folder)}").upload_from_filename(str(file))
    return f"{ROOT}/moved/{name}"


def roots(folder: Path, uri: str) -> list[str]:
    """Returns the options that say where the files are now; the default experiment's root differs by version."""
    places = {f"{folder}/files": f"{uri}/files", "./mlruns": f"{uri}/mlruns", f"{folder}/mlruns": f"{uri}/mlruns"}
    return [f"--root={old}={new}" for old, new in places.items()]


def beside(deployment: Deployment, postgres: Postgres, database: str) -> Deployment:
    """Returns the same buckets and accounts, and a database that no server has seen."""
    execute = partial(postgres.execute, database=database)
    return replace(deployment, uri=postgres.uri(database), execute=execute)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_moves_in_with_all_its_rows_and_files(
    deployment: Deployment, postgres: Postgres, left_behind: Versions, version: str
) -> None:
    there = upload(deployment, left_behind(version), version)
    target = beside(deployment, postgres, postgres.create())
    outcome = target.job("import", f"--from={there}/mlflow.db", *roots(left_behind(version), there), "--sample=0")
    assert outcome.status == 0, outcome.log
    for counted in (outcome.summary["source"], outcome.summary["after"]):
        assert COUNTS.items() <= counted.items()
    assert outcome.summary["checked"] == {"model_versions": 2}
    elsewhere = f"artifact_uri NOT LIKE '{ROOT}/moved/{version}/%'"
    assert target.count("runs", elsewhere) == 0
    assert target.count("runs", "lifecycle_stage = 'deleted'") == 1
    assert target.count("metrics", "is_nan") == 6


def test_an_mlruns_folder_moves_in_and_is_served(deployment: Deployment, left_behind: Versions) -> None:
    there = upload(deployment, left_behind("mlruns") / "mlruns", "folder/mlruns")
    outcome = deployment.job("import", f"--from={there}")
    assert outcome.status == 0, outcome.log
    assert COUNTS.items() <= outcome.summary["after"].items()
    assert outcome.summary["before"]["runs"] == 0
    (experiment,) = deployment.execute("SELECT experiment_id FROM experiments WHERE name = 'first'")
    found = deployment.call("POST", "runs/search", experiment_ids=[str(experiment[0])])["runs"]
    assert len(found) == 3
    query = {"run_id": found[0]["info"]["run_id"], "path": "folder ü"}
    headers = deployment.service.bearer()
    listed = deployment.service.http.get(f"{API}/artifacts/list", params=query, headers=headers).json()
    assert [file["path"] for file in listed["files"]] == ["folder ü/data.json"]
    made = deployment.experiment("the first one here")
    others = deployment.execute("SELECT max(experiment_id) FROM experiments WHERE name <> 'the first one here'")
    assert int(made) > int(others[0][0])
    again = deployment.job("import", f"--from={there}")
    assert again.status == EX_DATAERR, again.log
    assert "the deployment is not empty: it holds 4 experiments, 6 runs" in again.log


def test_another_servers_database_moves_in_from_one_engine_to_the_other(
    deployment: Deployment, postgres: Postgres, package: Versions, scratch: Path, tmp_path: Path
) -> None:
    source = postgres.create()
    fill(package("2.16.2"), tmp_path, postgres.uri(source, sockets=str(postgres.sockets)), f"{tmp_path}/files")
    before = postgres.execute("SELECT count(*), max(artifact_uri) FROM runs", database=source)
    there = upload(deployment, tmp_path, "server")
    folder = Path(mkdtemp(dir=scratch))
    folder.chmod(0o755)
    mysql = MySql(folder / "mysql")
    try:
        target = replace(
            deployment, uri=mysql.uri(), sockets=mysql.sockets, execute=partial(mysql.execute, database="mlflow")
        )
        permissions = json.dumps({"default": "READ", "admins": ["ada@example.com"], "readers": [], "teams": {}})
        named = {"IMPORT_STORE_URI": postgres.uri(source, sockets="/other"), "PERMISSIONS": permissions}
        spec = target.spec("import", *roots(tmp_path, there), "--sample=0", **named)
        outcome = Outcome(*target.platform.ends(replace(spec, mounts={**spec.mounts, postgres.sockets: "/other"})))
        assert outcome.status == 0, outcome.log
        assert COUNTS.items() <= outcome.summary["after"].items()
        assert target.count("experiments", "experiment_id = 0 AND name = 'Default'") == 1
        assert target.count("alembic_version_auth", "version_num <> ''") == 1  # the schema of permissions, made again
        assert PASSWORD not in outcome.log
    finally:
        mysql.stop()
    assert postgres.execute("SELECT count(*), max(artifact_uri) FROM runs", database=source) == before


def test_unknown_roots_are_named_before_anything_is_changed(
    deployment: Deployment, postgres: Postgres, left_behind: Versions
) -> None:
    there = upload(deployment, left_behind("3.0.1"), "3.0.1")
    target = beside(deployment, postgres, postgres.create())
    outcome = target.job("import", f"--from={there}/mlflow.db")
    assert outcome.status == EX_DATAERR, outcome.log
    assert f"{left_behind('3.0.1')}/files/0 (4)" in outcome.log
    assert f"--root={left_behind('3.0.1')}/" in outcome.log
    assert target.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_killed_import_begins_again_and_no_server_starts_on_half_of_it(
    deployment: Deployment, postgres: Postgres, left_behind: Versions
) -> None:
    there = upload(deployment, left_behind("3.0.1"), "3.0.1")
    target = beside(deployment, postgres, postgres.create())
    command = ("import", f"--from={there}/mlflow.db", *roots(left_behind("3.0.1"), there))
    with target.running(*command) as job:
        wait_for(lambda: target.count("pg_tables", "tablename = 'alembic_cloudrun_import'"), "the import's mark")
        job.signal("KILL")
        job.wait(10)
    half = target.job("db-upgrade")
    assert half.status == EX_DATAERR, half.log
    assert "An import into this database did not end. Run it again" in half.log
    assert target.job(*command).status == 0
    assert target.count("runs") == COUNTS["runs"]


def test_foreign_roots_are_noticed_at_the_start_rewritten_and_verified(
    platform: Platform, postgres: Postgres, database: str
) -> None:
    for statement in (
        (
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage, artifact_location) "
            "VALUES (7, 'old', 'active', './mlruns/7'), (8, 'odd', 'active', './mlruns2/8')"
        ),
        (
            "INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage, artifact_uri) "
            "VALUES ('r1', 7, 'active', './mlruns/7/r1/artifacts')"
        ),
        "INSERT INTO registered_models (name, creation_time) VALUES ('m', 1)",
        (
            "INSERT INTO model_versions (name, version, creation_time, current_stage, source) "
            "VALUES ('m', 1, 1, 'None', './mlruns/7/r1/artifacts/model')"
        ),
    ):
        postgres.execute(statement, database=database)
    with platform.service(postgres.uri(database)) as service:
        log = service.container.logs()
    assert "./mlruns (1), ./mlruns2 (1)" in log
    assert "rewrite-roots --root=./mlruns=gs://artifacts/FOLDER" in log

    def job(*command: str) -> Outcome:
        return Outcome(*platform.ends(platform.job(database, *command)))

    assert job("rewrite-roots", "--root=./mlruns=gs://elsewhere/moved").status == EX_DATAERR
    assert job("rewrite-roots", f"--root=./mlruns=gs://artifacts/{'x' * 200}").status == EX_DATAERR
    dry = job("rewrite-roots", "--root=./mlruns=gs://artifacts/moved", "--dry-run")
    assert dry.summary["to rewrite"] == {"experiments": 1, "runs": 1, "model_versions": 1}
    assert postgres.execute("SELECT artifact_uri FROM runs", database=database) == [("./mlruns/7/r1/artifacts",)]
    done = job("rewrite-roots", "--root=./mlruns=gs://artifacts/moved")
    assert done.summary["rewritten"] == {"experiments": 1, "runs": 1, "model_versions": 1}
    assert done.summary["foreign"] == {"./mlruns2": 1}
    assert postgres.execute("SELECT artifact_uri FROM runs", database=database) == [
        ("gs://artifacts/moved/7/r1/artifacts",)
    ]
    missing = job("verify")
    assert missing.status == EX_DATAERR, missing.log
    assert "nothing is at gs://artifacts/moved/7/r1/artifacts/model" in missing.log
    assert missing.summary["counts"]["runs"] == 1
