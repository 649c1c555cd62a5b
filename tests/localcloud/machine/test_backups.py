"""Backups of real servers, of both kinds, and what can be brought back from them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from containers.engine import Engine
from localcloud.machine.dialects import DIALECTS
from localcloud.terraform.model import Refused, objects
from tests.localcloud.machine.servers import PASSWORD, PROJECT, Local, instance, part, uri

if TYPE_CHECKING:
    from collections.abc import Generator

    from localcloud.terraform.model import Object, Value

pytestmark = pytest.mark.long

OLD_PASSWORD, NEW_PASSWORD = "of then", "of now"


def protected(name: str, kind: str) -> Object:
    """An instance that keeps its log."""
    described = instance(name, version="MYSQL_8_4" if kind == "mysql" else "POSTGRES_17")
    switch = "binary_log_enabled" if kind == "mysql" else "point_in_time_recovery_enabled"
    return with_settings(described, backup_configuration=[{"enabled": True, switch: True}])


def with_settings(described: Object, **settings: Value) -> Object:
    return {**described, "settings": [{**objects(described, "settings")[0], **settings}]}


def now() -> str:
    """A time between what was committed before and after."""
    time.sleep(1.1)  # MySQL's log has whole seconds
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1.1)
    return moment


@pytest.fixture(params=["postgresql", pytest.param("mysql", marks=pytest.mark.rehearsal)])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def local() -> Generator[Local]:
    cloud = Local(Engine())
    try:
        yield cloud
    finally:
        for described in cloud.instances:
            cloud.servers.remove(described)


def run(local: Local, kind: str, name: str, *statements: str) -> str:
    """Runs SQL in an instance's database as its superuser, which takes no container of its own."""
    dialect = DIALECTS[kind]
    begin = "USE app;" if kind == "mysql" else "\\connect app\n\\pset tuples_only on\n\\pset format unaligned\n"
    return local.server(name).execute(*dialect.client, stdin="\n".join([begin, *statements])).strip()


def highest(local: Local, kind: str, name: str) -> str:
    return run(local, kind, name, "SELECT max(a) FROM kept;").rpartition("\n")[2]


def can_log_in(local: Local, kind: str, name: str, password: str) -> bool:
    address = uri(name, password=password, kind=kind).replace("/mlflow?", "/app?")
    return local.sql("SELECT 1", name=name, address=address)[0] == 0


def test_what_was_there_comes_back_and_what_came_later_does_not(local: Local, kind: str) -> None:
    source, clone = protected("source", kind), protected("clone", kind)
    local.run(source)
    local.servers.create_database(part("app", "source"))
    local.servers.set_password(part("mlflow", "source"), OLD_PASSWORD)
    run(local, kind, "source", "CREATE TABLE kept (a int);", "INSERT INTO kept VALUES (1);")
    local.servers.back_up(source, "first")
    run(local, kind, "source", "INSERT INTO kept VALUES (2);")
    then = now()
    run(local, kind, "source", "INSERT INTO kept VALUES (3);", "CREATE TABLE later (a int);")
    local.servers.set_password(part("mlflow", "source"), NEW_PASSWORD)
    run(local, kind, "source", "DROP TABLE kept;")

    local.instances.append(clone)
    local.servers.restore(clone, source, "first", then)
    assert highest(local, kind, "clone") == "2"
    assert can_log_in(local, kind, "clone", OLD_PASSWORD)
    assert not can_log_in(local, kind, "clone", NEW_PASSWORD)

    # What was cloned goes back to where it came from, which keeps a log of its own from then on.
    local.servers.back_up(clone, "second")
    local.servers.restore(source, clone, "second")
    assert highest(local, kind, "source") == "2"
    local.servers.back_up(source, "third")
    run(local, kind, "source", "INSERT INTO kept VALUES (4);")
    then = now()
    run(local, kind, "source", "DROP TABLE kept;")
    local.servers.restore(clone, source, "third", then)
    assert highest(local, kind, "clone") == "4"


def test_backups_outlive_an_instance_that_says_so(local: Local) -> None:
    source = with_settings(protected("source", "postgresql"), retain_backups_on_delete=True)
    local.run(source)
    local.servers.create_database(part("app", "source"))
    local.servers.set_password(part("mlflow", "source"), PASSWORD)
    local.servers.back_up(source, "last")
    local.servers.remove(source)
    again = protected("source", "postgresql")
    local.run(again)
    assert not can_log_in(local, "postgresql", "source", PASSWORD)
    local.servers.restore(again, again, "last")
    assert can_log_in(local, "postgresql", "source", PASSWORD)
    with pytest.raises(Refused, match="backup none could not be restored to source"):
        local.servers.restore(again, again, "none")
    local.servers.ensure_running(again)
    assert run(local, "postgresql", "source", "SELECT 42;") == "42"
    local.servers.remove(again)
    assert [name for name in local.engine.volumes(f"localcloud={local.label}") if f"{PROJECT}.source" in name] == []
