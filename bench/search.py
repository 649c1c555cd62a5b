"""Searches for runs by the image, against MLflow's own in the same database; rewrites docs/bench/search.md.

Writes 100,000 runs into one experiment, then 1,000,000, with SQL on both engines; search_from_inside.py asks.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.inside import asked, versions
from containers.engine import Engine
from harness import local
from harness.databases import MySql

SCRIPT: Final = Path(__file__).parent / "search_from_inside.py"
DOCUMENT: Final = Path(__file__).parents[1] / "docs/bench/search.md"
SIZES: Final = (100_000, 1_000_000)
GIVE_UP_S: Final = 3_600
MYSQL_MEMORY: Final = 1024**3
SEED: Final = """
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id)
  SELECT md5('seed' || n), 'seed-' || n, 'UNKNOWN', '', '', 'writer', 'FINISHED', 1700000000000 + 1000 * n,
         1700000050000 + 1000 * n, '', 'active', 'gs://artifacts/0/' || n, 0 FROM {numbers};
INSERT INTO latest_metrics ("key", value, timestamp, step, is_nan, run_uuid)
  SELECT 'metric-' || k, {random}, 1, 4, false, md5('seed' || n) FROM {numbers} CROSS JOIN {three};
INSERT INTO params ("key", value, run_uuid)
  SELECT 'param-' || k, n % 100, md5('seed' || n) FROM {numbers} CROSS JOIN {three};
INSERT INTO tags ("key", value, run_uuid)
  SELECT 'tag-' || k, 'value-' || n % 20, md5('seed' || n) FROM {numbers} CROSS JOIN {three};
"""
THREE: Final = "(SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3) AS words"
WORDS: Final = {
    "page": "the page's: by start, 25 runs",
    "no order": "no order named",
    "deep": "by start, from the middle of all runs",
    "thousand": "by start, 1,000 runs",
    "tag": "by start, a tag that 1 run of 20 has",
    "metric": "by start, a metric above its middle",
    "none": "by start, a status that no run has",
    "by metric": "by a metric",
    "by parameter": "by a parameter",
    "by name": "by the name of the run",
}
PAGE: Final = """\
# Searches for runs, measured

By `make bench-search`: MLflow's store in the image, asked for runs of one experiment, each with 3 metrics, parameters
and tags. *Plain* is MLflow's own search. *Rewritten* is the image's, which sorts keys instead of rows; *indexed* also
follows `cloudrun_runs_by_start`. The same database, one after the other; milliseconds until the runs are there, medians
of {times}. PostgreSQL {postgresql}; for MySQL, {mysql} with 1 GiB of buffer pool.

| database | runs | search | plain | rewritten | indexed | plain / indexed |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

All answers were the same. What the index costs:

| database | runs | making it, s | bytes a run | creating a run before, ms | after |
| --- | --- | --- | --- | --- | --- |
{costs}
"""


def measured(
    name: str, ask: Callable[[], dict[str, Any]], write: Callable[[int, int], None]
) -> list[tuple[str, int, dict[str, Any]]]:
    """Returns the figures of one engine by the number of runs; the first look makes the schema."""
    ask()
    found: list[tuple[str, int, dict[str, Any]]] = []
    written = 0
    for size in SIZES:
        write(written + 1, size)
        written = size
        found.append((name, size, ask()))
        print(found[-1], flush=True)
    return found


def page(figures: list[tuple[str, int, dict[str, Any]]], versions: dict[str, str]) -> str:
    """Returns the page."""
    rows, costs = list[str](), list[str]()
    for name, size, of in figures:
        for kind, (plain, rewritten, indexed) in of["searches"].items():
            milliseconds = " | ".join(f"{way:,.1f}" for way in (plain, rewritten, indexed))
            rows.append(f"| {name} | {size:,} | {WORDS[kind]} | {milliseconds} | {plain / indexed:,.1f} |")
        before, after = of["create"]
        costs.append(f"| {name} | {size:,} | {of['made_s']:.1f} | {of['bytes']:.0f} | {before:.1f} | {after:.1f} |")
    times = figures[0][2]["times"]
    return PAGE.format(rows="\n".join(rows), costs="\n".join(costs), times=times, **versions)


def main() -> int:
    """Measures, prints and writes."""
    with local.platform(Engine()) as platform, local.scratch_folder() as folder:
        postgres, mysql = platform.postgres, MySql(folder / "mysql")
        mysql.execute(f"SET GLOBAL innodb_buffer_pool_size = {MYSQL_MEMORY}")
        database = postgres.create()

        def write_postgres(first: int, last: int) -> None:
            numbers = f"generate_series({first}::bigint, {last}) AS n"
            seed = SEED.format(numbers=numbers, random="random()", three=THREE)
            # Without the checks of foreign keys, as a superuser may.
            postgres.execute(f"SET session_replication_role = replica; {seed}", database=database)
            postgres.execute("VACUUM ANALYZE", database=database)

        def write_mysql(first: int, last: int) -> None:
            numbers = f"(SELECT seq AS n FROM seq_{first}_to_{last}) AS numbers"  # noqa: S608
            seed = SEED.format(numbers=numbers, random="RAND()", three=THREE)
            free = "SET sql_mode = 'ANSI', foreign_key_checks = 0, unique_checks = 0"
            tables = "ANALYZE TABLE runs, latest_metrics, params, tags"
            mysql.execute(f"{free}; {seed} {tables}", database="mlflow")

        try:
            figures = [
                *measured(
                    "PostgreSQL",
                    lambda: asked(platform, SCRIPT, postgres.uri(database), postgres.sockets, timeout_s=GIVE_UP_S),
                    write_postgres,
                ),
                *measured(
                    "MySQL",
                    lambda: asked(platform, SCRIPT, mysql.uri(), mysql.sockets, timeout_s=GIVE_UP_S),
                    write_mysql,
                ),
            ]
            text = page(
                figures,
                versions(postgres, mysql),
            )
        finally:
            mysql.stop()
    DOCUMENT.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
