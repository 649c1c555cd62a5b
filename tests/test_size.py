"""`make size`: what it prints for any load passes the checks of a settings file, and what it rests on was measured."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.kinds import KINDS
from stacks.settings.database import Engine
from stacks.settings.load import OVERRIDE_PREFIX, load
from stacks.settings.problems import SettingsError
from tools import size
from tools.sizing import figures
from tools.sizing.instances import COUNTS, ENGINES, growth
from tools.sizing.load import Demand, Load
from tools.sizing.plan import TIERS, Plan, plan
from tools.sizing.standing import BILLED, FREE, billed

CHECKOUT = Path(__file__).parents[1]
FIGURES = figures.read()
ORDERS = (1, 100, 10_000)


def made(people: int = 20, runs: int = 500, metrics: int = 1_000, **more: int | str) -> Plan:
    return plan(Load.model_validate({"people": people, "runs": runs, "metrics": metrics, **more}), FIGURES)


def pasted(block: str, profile: str, folder: Path) -> Path:
    """The example file with a block in it, as a person pastes it: into the sections that are there."""
    text = (CHECKOUT / "environments/example.toml").read_text().replace('profile = "prod"', f'profile = "{profile}"')
    for section in block.split("\n\n"):
        header, _, lines = section.partition("\n")
        text = text.replace(f"{header}\n", f"{header}\n{lines.rstrip()}\n", 1)
    file = folder / "pasted.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_every_block_passes_the_checks_of_a_settings_file(engine: str, profile: str, tmp_path: Path) -> None:
    carried, refused = 0, list[tuple[int, str]]()
    for people, runs, metrics, traces in product(ORDERS, ORDERS, ORDERS, (0, 1_000)):
        try:
            one = made(people, runs, metrics, traces=traces, engine=engine, profile=profile)
        except SettingsError as error:
            refused.append((runs * metrics, str(error)))
            continue
        read = load(pasted(one.toml(), profile, tmp_path), {})
        assert read == size.settings_of(one)
        assert (read.profile, read.database.engine, read.database.tier) == (
            profile,
            engine,
            one.settings["database.tier"],
        )
        carried += 1
    assert carried > 40
    assert all(values >= 10_000_000 for values, _ in refused), refused


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Load,
        people=st.integers(1, 100_000),
        runs=st.integers(0, 10_000_000),
        metrics=st.integers(0, 10_000_000),
        traces=st.integers(0, 1_000_000_000),
        days=st.integers(1, 3_650),
        engine=st.sampled_from(["postgresql", "mysql"]),
        profile=st.sampled_from(["dev", "prod"]),
    )
)
def test_a_load_gets_settings_or_every_reason_why_not(load: Load) -> None:
    try:
        one = plan(load, FIGURES)
    except SettingsError as error:
        reasons = error.problems
    else:
        tomllib.loads(one.toml())
        size.settings_of(one)
        used, available = one.connections
        assert used <= available
        return
    assert reasons


@pytest.mark.parametrize("more", ["people", "runs", "metrics", "traces", "days"])
def test_more_of_anything_never_makes_it_smaller(more: str) -> None:
    sizes = [made(**{more: count}) for count in (1, 100, 1_000)]
    for smaller, larger in pairwise(sizes):
        assert smaller.settings["service.max_instances"] <= larger.settings["service.max_instances"]
        assert smaller.disk_gb <= larger.disk_gb
        for name in {limit.name for limit in smaller.limits} - {"searches"}:
            before, after = (next(it for it in one.limits if it.name == name) for one in (smaller, larger))
            assert before.used <= after.used or more == "people"  # more experiments are smaller ones


def test_what_is_reached_first_comes_first() -> None:
    assert made(people=2_000, runs=10).limits[0].name == "instances' CPU"
    assert made(people=1, runs=5_000, metrics=1).limits[0].name == "searches"
    assert made(people=100, runs=30_000, metrics=1, days=30).limits[0].name == "database's memory"


def test_a_day_costs_what_its_rows_cost() -> None:
    row = FIGURES.rows["postgresql"]
    demand = Demand.of(Load(people=1, runs=1, metrics=1_000), FIGURES)
    expected = row["run"] + 20 * row["parameter"] + 10 * row["tag"] + 20 * row["metric"] + 980 * row["value"]
    assert demand.bytes_of_run == pytest.approx(expected)
    assert demand.database_bytes(365) == pytest.approx(365 * expected)


def test_spans_leave_the_database_for_the_bucket() -> None:
    demand = Demand.of(Load(people=1, runs=0, metrics=0, traces=1_000), FIGURES)
    after_90, after_365 = demand.database_bytes(90), demand.database_bytes(365)
    assert after_365 - after_90 == pytest.approx(275 * 1_000 * FIGURES.rows["postgresql"]["trace"])
    assert demand.bucket_bytes(365) == pytest.approx(275 * 10_000 * FIGURES.rows["postgresql"]["span"])


def test_the_figures_are_those_of_the_pages() -> None:
    assert set(FIGURES.calls) == {"log-metric", "log-batch", "search"}
    assert f"| log-metric | 8 | {FIGURES.calls['log-metric']:.0f} " in (figures.BENCH / "service.md").read_text()
    rows = (figures.BENCH / "rows.md").read_text()
    for engine in FIGURES.rows.values():
        assert all(f" {count:.0f} |" in rows for count in engine.values())
    assert set(FIGURES.search_seconds) == {1_000, 10_000, 100_000}


def test_each_type_of_resource_is_billed_for_standing_still_or_free() -> None:
    assert BILLED.keys() | FREE == KINDS.keys()
    assert not BILLED.keys() & FREE


def test_what_is_billed_follows_the_settings() -> None:
    quiet, kept = (
        "\n".join(billed(load(CHECKOUT / "environments/example.toml", {f"MLFLOW_GCP__{name}": value})))
        for name, value in (("SERVICE__MIN_INSTANCES", "0"), ("SERVICE__MIN_INSTANCES", "2"))
    )
    assert "no instance of Cloud Run" in quiet
    assert "2 instances of Cloud Run" in kept
    assert "twice for the standby" in quiet
    asked = {
        "MONITORING__ENABLED": "true",
        "MONITORING__UPTIME_CHECK": "true",
        "MONITORING__EMAILS": '{ a = "a@b.co" }',
    }
    watched = billed(
        load(CHECKOUT / "environments/example.toml", {f"MLFLOW_GCP__{key}": value for key, value in asked.items()})
    )
    assert any("monitoring.uptime_check keeps from ending" in line for line in watched)
    assert any("10 alerts" in line for line in watched)


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.size", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, input=stdin, capture_output=True, text=True, check=False)


def test_it_prints_the_size_and_a_block() -> None:
    done = run("--people=20", "--runs=500", "--metrics=1,000")
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout.partition('profile = "prod":\n')[2]) == tomllib.loads(made().toml())
    for said in ("after a month", "after a year", "reached first", "connections", "Billed while nobody calls"):
        assert said in done.stdout


def test_everything_that_is_wrong_is_said_at_once() -> None:
    done = run("--people=0", "--runs=many", "--engine=oracle", "--days=0", "--artifacts-mb=-1")
    assert done.returncode == 1
    for said in (
        "people = 0",
        "runs = 'many'",
        "metrics = (not set)",
        "engine = 'oracle'",
        "days = 0",
        "artifacts_mb = -1",
    ):
        assert f"  {said}\n" in done.stderr
    assert not done.stdout


def test_what_no_deployment_carries_is_refused_with_every_reason() -> None:
    done = run("--people=100", "--runs=1000000", "--metrics=10000")
    assert done.returncode == 1
    assert "instances that the tier has connections for" in done.stderr
    assert "65,536 GB" in done.stderr


def test_it_asks_for_what_is_missing() -> None:
    answers = iter(("20", " 500 "))
    assert size.ask({"people": "", "runs": "", "metrics": "7"}, lambda _: next(answers)) == {
        "people": "20",
        "runs": "500",
        "metrics": "7",
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", COUNTS)
def test_the_tiers_of_so_many_instances_are_those_that_the_settings_rules_accept(engine: Engine, count: int) -> None:
    """And no smaller one; where none has the connections, the largest is refused."""
    names = [tier.name for tier in TIERS["prod"]]
    tier = growth(engine, count, FIGURES).by_connections

    def accepted(name: str) -> bool:
        changed = {"DATABASE__ENGINE": engine, "DATABASE__TIER": name, "SERVICE__MAX_INSTANCES": str(count)}
        try:
            load(size.EXAMPLE, {f"{OVERRIDE_PREFIX}{field}": value for field, value in changed.items()})
        except SettingsError as error:
            assert "connections" in str(error)  # noqa: PT017 - and nothing else is wrong
            return False
        return True

    first = names.index(tier.name) if tier else len(names)
    assert [accepted(name) for name in names] == [False] * first + [True] * (len(names) - first)


def test_the_database_is_the_limit_that_instances_reach() -> None:
    """More calls for each CPU of the database let more instances be carried; the connections stay."""
    ten, hundred = (growth("postgresql", count, FIGURES) for count in (10, 100))
    assert (hundred.by_connections, hundred.first) == (None, "connections")
    assert hundred.most < 100 < growth("mysql", 100, FIGURES).most
    assert ten.connections * 10 > hundred.connections > ten.connections
    lighter = growth("postgresql", 10, replace(FIGURES, database_cpu_ms=FIGURES.database_cpu_ms / 100))
    assert lighter.first == "connections"
