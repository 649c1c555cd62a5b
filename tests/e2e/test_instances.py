"""Several instances of the demo, started and ended by load: no call, no write and no session is lost among them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bench.sign_in import first_page, session_cookies
from containers.engine import EngineError
from harness.waiting import wait_for
from harness.world import SEARCH, WRITER
from localcloud.machine.dialects import PostgreSQL
from localcloud.machine.logbook import entries
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from tests.e2e.test_changes import change
from tests.e2e.test_faults import database
from tests.e2e.writer import Writer, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers.container import Container
    from harness.world import World
    from tests.e2e.conftest import MakeWorld

pytestmark = pytest.mark.long

IDLE_S = 6
MOST, AT_A_TIME = 4, 16
CLIENTS = MOST * AT_A_TIME
LOG_METRIC = "/api/2.0/mlflow/runs/log-metric"


server = cache(database)  # looked for while no instance comes or goes


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    settings = {
        "SERVICE__MAX_INSTANCES": str(MOST),
        "SERVICE__CONCURRENCY": str(AT_A_TIME),
        "DATABASE__TIER": "db-custom-1-3840",  # has the connections
    }
    with make_world(f"--idle={IDLE_S}", **settings) as deployed:
        server(deployed)
        yield deployed


def sql(world: World, statement: str) -> list[str]:
    """What a statement returns, by Cloud SQL's own user."""
    options = ("--dbname=postgres", "--tuples-only", "--no-align", "--field-separator= ")
    return server(world).execute(*PostgreSQL.client, *options, stdin=statement).splitlines()


@contextmanager
def counted_connections(world: World) -> Iterator[list[int]]:
    """Counts MLflow's connections to the database while the block runs; the list is the most that there were, then."""
    sql(world, "CREATE UNLOGGED TABLE counted (connections int)")
    one = "INSERT INTO counted SELECT count(*) FROM pg_stat_activity WHERE datname = 'mlflow'"
    again = f"LOOP PERFORM pg_stat_clear_snapshot(); {one}; COMMIT; PERFORM pg_sleep(0.05); END LOOP"

    def count() -> None:
        with suppress(EngineError):  # it is ended
            sql(world, f"DO $$ BEGIN {again}; END $$")

    most: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(count)
        wait_for(lambda: sql(world, "SELECT count(*) FROM counted") != ["0"], "a first count")
        try:
            yield most
        finally:
            sql(world, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %counted%'")
    most += [int(line) for line in sql(world, "SELECT max(connections) FROM counted; DROP TABLE counted")]


def answered(world: World, agent: str) -> dict[str, set[str]]:
    """The instances that answered somebody, by the path; as the log has it."""
    found: dict[str, set[str]] = {}
    for entry in entries(world.home / "logs"):
        asked: Any = entry.get("httpRequest")
        labels: Any = entry["labels"]
        if isinstance(asked, dict) and asked.get("userAgent") == agent:
            path = httpx.URL(str(asked["requestUrl"])).path  # pyright: ignore[reportUnknownArgumentType]
            found.setdefault(path, set()).add(labels.get("instanceId", ""))
    return found


def burst(world: World, run_id: str, agent: str, session: dict[str, str]) -> Counter[int]:
    """Every client writes values with a token until the most instances do, and reads once with somebody's session.

    Returns:
        How often each status came.
    """
    bearer, enough = world.bearer(), Event()

    def client(number: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        headers = {"User-Agent": agent}
        with httpx.Client(base_url=world.url, headers=headers, timeout=120) as http:
            while not enough.is_set():
                step = number + CLIENTS * statuses.total()
                body = {"run_id": run_id, "key": "loss", "value": step, "step": step, "timestamp": step}
                statuses[http.post(LOG_METRIC, json=body, headers=bearer).status_code] += 1
        answer = httpx.get(f"{world.url}{SEARCH}", headers=headers, cookies=session, timeout=120)
        return statuses + Counter([answer.status_code])

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            wait_for(lambda: len(answered(world, agent).get(LOG_METRIC, ())) == MOST, "all instances", deadline_s=120)
        finally:
            enough.set()
    return sum((future.result() for future in clients), Counter[int]())


@pytest.mark.rehearsal
def test_a_cold_start_under_load_loses_nothing(world: World) -> None:
    """The session was made by an instance that is gone; the others take it."""
    run_id = Writer.of(world).run_id
    session = session_cookies(world.url, WRITER)
    wait_for(lambda: not world.instances(), "scale to zero", deadline_s=60)
    with counted_connections(world) as most:
        statuses = burst(world, run_id, "cold", session)
    assert statuses.keys() == {200}
    written = sql(world, f"\\c mlflow\nSELECT count(*), count(DISTINCT step) FROM metrics WHERE run_uuid = '{run_id}'")
    writes = statuses.total() - CLIENTS
    assert written == [f"{writes} {writes}"]
    assert len(answered(world, "cold")[httpx.URL(SEARCH).path]) > 1
    print(f"{MOST} instances of {CONNECTIONS_PER_INSTANCE} connections opened {most[0]}")
    assert most[0] <= MOST * CONNECTIONS_PER_INSTANCE


@pytest.mark.rehearsal
def test_an_instance_killed_under_load_loses_no_acknowledged_write(world: World) -> None:
    with writing(world, "one of several instances killed", clients=2 * AT_A_TIME) as writer:
        wait_for(lambda: len(world.instances()) > 1, "more than one instance")
        killed: Container = world.instances()[0]
        killed.signal("KILL")
        writer.goes_on()
        wait_for(lambda: killed.id not in {it.id for it in world.instances()}, "its end")
        writer.goes_on()
    assert writer.failures.keys() <= {"503"}
    assert writer.failures.total() <= AT_A_TIME


@pytest.mark.rehearsal
def test_a_rollout_under_load_stays_within_the_budget_of_connections(world: World) -> None:
    with counted_connections(world) as most, writing(world, "rollout at several instances", clients=CLIENTS) as writer:
        wait_for(lambda: len(world.instances()) == MOST, "the most instances", deadline_s=90)
        change(world, SERVICE__MIN_INSTANCES="2")
        wait_for(lambda: len(world.instances()) == MOST, "the most instances", deadline_s=90)
    assert not writer.failures
    print(f"a rollout from {MOST} to {MOST} instances opened {most[0]} connections")
    assert most[0] <= 2 * MOST * CONNECTIONS_PER_INSTANCE


@pytest.mark.rehearsal
def test_scale_in_fails_no_request(world: World) -> None:
    with writing(world, "scale in", clients=2) as writer:
        wait_for(lambda: len(world.instances()) == 2, "the minimum", deadline_s=120)
    assert not writer.failures


@pytest.mark.rehearsal
def test_a_sign_in_begins_at_one_instance_and_ends_at_another(world: World) -> None:
    first_page(world.url, WRITER, agent="signs in")
    by = answered(world, "signs in")
    assert by["/oauth2/callback"]
    assert by["/"] - by["/oauth2/callback"]
