"""A migration that is killed goes on; one that would not end in time is refused before it begins.

KILL_EVERY=1 kills at every statement that changes something, one after the other.
"""

import json
import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.databases import MySql, Postgres
from harness.service import Platform

SCRIPT = Path(__file__).parent / "kill_migrations.py"
STATEMENTS = 350  # that change something, on either engine; some more on MySQL
EVERY = os.environ.get("KILL_EVERY", "70")
LONGEST_S = 3600
EX_CONFIG = 78
PERMISSIONS = json.dumps({"default": "READ", "admins": ["ada@example.com"], "readers": [], "teams": {}})
OLDEST = "451aebb31d03"  # MLflow's first; all others are to be made
COLUMNS = """SELECT table_name, column_name, column_type, is_nullable, column_default FROM information_schema.columns
  WHERE table_schema = '{schema}' ORDER BY 1, 2"""
KEYS = """SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics
  WHERE table_schema = '{schema}' AND index_name NOT LIKE 'cloudrun%' ORDER BY 1, 2, 3"""
CONSTRAINTS = """SELECT table_name, constraint_type, count(*) FROM information_schema.table_constraints
  WHERE table_schema = '{schema}' GROUP BY 1, 2 ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def mysql(scratch: Path) -> Generator[MySql]:
    folder = Path(mkdtemp(dir=scratch))
    folder.chmod(0o755)
    server = MySql(folder / "mysql")
    yield server
    server.stop()


def killed(platform: Platform, uri: str, sockets: Path) -> dict[str, object]:
    """Kills migrations of a database until one ends; returns what came of it."""
    spec = platform.spec(uri, sockets=sockets, PERMISSIONS=PERMISSIONS)
    mounts = {**spec.mounts, SCRIPT: "/kill_migrations.py"}
    script = replace(spec, mounts=mounts, entrypoint="/opt/mlflow/bin/python", command=["/kill_migrations.py", EVERY])
    status, log = platform.ends(script, timeout_s=LONGEST_S)
    assert status == 0, log
    outcome = json.loads(log.splitlines()[-1])
    assert outcome["status"] == 0, log
    assert outcome["kills"] >= STATEMENTS // int(EVERY)
    print(outcome["kills"], "killed")
    return outcome


def schema(execute: Callable[[str], object], name: str) -> list[object]:
    """Returns the columns, keys and constraints of a database."""
    return [execute(query.format(schema=name)) for query in (COLUMNS, KEYS, CONSTRAINTS)]


def test_a_killed_migration_of_mysql_goes_on_to_the_same_schema(platform: Platform, mysql: MySql) -> None:
    killed(platform, mysql.uri(), mysql.sockets)
    mysql.execute("CREATE DATABASE whole; GRANT ALL ON whole.* TO mlflow@localhost")
    whole = mysql.uri().replace("/mlflow?", "/whole?")
    spec = platform.spec(whole, sockets=mysql.sockets, PERMISSIONS=PERMISSIONS)
    status, log = platform.ends(replace(spec, command=["db-upgrade"]))
    assert status == 0, log
    assert schema(mysql.execute, "mlflow") == schema(mysql.execute, "whole")


def test_a_killed_migration_of_postgresql_leaves_nothing_and_goes_on(platform: Platform, postgres: Postgres) -> None:
    database = postgres.create()
    outcome = killed(platform, postgres.uri(database), postgres.sockets)
    # Nothing at all, or the first tables, which are MLflow's oldest schema, or all of the first schema.
    assert {"(None, None, 0)", "(None, None, 5)"} == {left for left in outcome["left"] if left.startswith("(None")}
    assert all("None" in left for left in outcome["left"])


def test_a_start_refuses_a_migration_that_might_not_end_in_time(
    platform: Platform, migrated: str, postgres: Postgres
) -> None:
    database = postgres.create(template=migrated)
    large = "md5(i::text), repeat('x', 250), 7, 'active' FROM generate_series(1, 400000) i"
    for statement in (
        f"UPDATE alembic_version SET version_num = '{OLDEST}'",  # noqa: S608
        "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'large', 'active')",
        f"INSERT INTO runs (run_uuid, name, experiment_id, lifecycle_stage) SELECT {large}",
    ):
        postgres.execute(statement, database=database)
    status, log = platform.ends(platform.spec(postgres.uri(database)))
    assert status == EX_CONFIG, log
    assert "Nothing was changed. Run this image's db-upgrade as a job" in log
    assert postgres.execute("SELECT version_num FROM alembic_version", database=database) == [(OLDEST,)]
