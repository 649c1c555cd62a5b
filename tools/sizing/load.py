"""The load of people and programs on a tracking server, and how much of it comes at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from stacks.settings.database import Engine
from stacks.settings.field_rules import OneOf, Range
from stacks.settings.section import Section
from tools.sizing.figures import Figures

PAGE: Final = "docs/sizing.md"

PARAMS, TAGS, KEYS = 20, 10, 20
"""Of a run; its other values are further ones of the same metrics."""
SPANS: Final = 10
"""Of a trace, each as the one that was measured."""
CALLS_OF_RUN: Final = 4
"""Beside its metrics: it begins, it logs its parameters and its tags, it ends."""
WORKDAY_HOURS: Final = 8
PEAK: Final = 2
"""Times the mean of a workday in which all of a day's work is done."""
LOOKING: Final = 4
"""One person of so many looks at the page at once."""
SEARCH_EVERY_S: Final = 10
"""For one who looks."""
ARCHIVE_DAYS: Final = 90
"""Days for which spans stay in the database; then they are in the bucket (jobs.archive_older_than_days)."""

ASSUMED: Final = (
    f"A run has {PARAMS} parameters, {TAGS} tags and up to {KEYS} metrics; each value of them is a call of its own.",
    f"All of a day's work is done in {WORKDAY_HOURS} hours, and at the peak there is {PEAK} times as much of it.",
    f"One person of {LOOKING} looks at the page at once, and searches every {SEARCH_EVERY_S} s.",
    "Each person's runs are in an experiment of their own.",
    f"A trace has {SPANS} spans of 1 kB, which move to the bucket after {ARCHIVE_DAYS} days.",
)


def _range(least: int, most: int, rule: str, remedy: str) -> Range:
    return Range(minimum=least, maximum=most, rule=f"{rule}: {least:,} to {most:,}", remedy=remedy, url=PAGE)


class Load(Section):
    """The load as somebody describes it."""

    people: Annotated[int, _range(1, 100_000, "how many people use it", "count those who open the page")]
    runs: Annotated[
        int, _range(0, 10_000_000, "how many runs all of them make on a day", "count a day's trainings and trials")
    ]
    metrics: Annotated[
        int,
        _range(
            0,
            10_000_000,
            "how many values of metrics a run logs",
            "multiply a run's metrics by the steps at which it logs",
        ),
    ]
    traces: Annotated[int, _range(0, 1_000_000_000, "how many traces there are on a day", "count calls of agents")] = 0
    artifacts_mb: Annotated[
        int, _range(0, 1_000_000, "how many MB of files a run has", "add up its model and plots")
    ] = Field(default=10)
    days: Annotated[int, _range(1, 3_650, "for how many days it is kept", "write 365, a year")] = 365
    engine: Engine = "postgresql"
    profile: Annotated[
        str,
        OneOf(values=("dev", "prod"), rule='the profile is "dev" or "prod"', remedy='write "prod"', url=PAGE),
    ] = "prod"

    @property
    def runs_of_experiment(self) -> float:
        """The runs of one person at the end of the days."""
        return self.runs * self.days / self.people


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """The demand that follows from a load.

    Attributes:
        calls: Calls a second at the peak, by kind.
        instances: How many instances the calls keep busy.
        database_cpus: How many CPUs of the database.
        bytes_of_run: Of a run's rows in the database.
        rows_of_day: Bytes that a day adds to the database for good.
        spans_of_day: Bytes that it adds until they are archived.
        searched_of_day: Bytes of it that a search reads: no spans, and of a metric the latest value alone.
        files_of_day: Bytes that it adds to the bucket.
    """

    calls: Mapping[str, float]
    instances: float
    database_cpus: float
    bytes_of_run: float
    rows_of_day: float
    spans_of_day: float
    searched_of_day: float
    files_of_day: float

    @classmethod
    def of(cls, load: Load, figures: Figures) -> "Demand":
        """The demand of a load, by what was measured."""
        at_peak = PEAK / (WORKDAY_HOURS * 3_600)
        calls = {
            "log-metric": load.runs * load.metrics * at_peak,
            "log-batch": (load.runs * CALLS_OF_RUN + load.traces) * at_peak,
            "search": load.people / LOOKING / SEARCH_EVERY_S,
        }
        seconds = {kind: 1 / rate for kind, rate in figures.calls.items()}
        seconds["search"] = at_runs(figures.search_seconds, load.runs_of_experiment)
        row = figures.rows[load.engine]
        keys = min(load.metrics, KEYS)
        searched = row["run"] + PARAMS * row["parameter"] + TAGS * row["tag"] + keys * (row["metric"] - row["value"])
        of_run = searched + load.metrics * row["value"]
        return cls(
            calls=calls,
            instances=sum(count * seconds[kind] for kind, count in calls.items()),
            database_cpus=sum(calls.values()) * figures.database_cpu_ms / 1_000,
            bytes_of_run=of_run,
            rows_of_day=load.runs * of_run + load.traces * row["trace"],
            spans_of_day=load.traces * SPANS * row["span"],
            searched_of_day=load.runs * searched + load.traces * row["trace"],
            files_of_day=load.runs * load.artifacts_mb * 1e6,
        )

    def database_bytes(self, days: int) -> float:
        """Returns the size of the database after some days."""
        return self.rows_of_day * days + self.spans_of_day * min(days, ARCHIVE_DAYS)

    def bucket_bytes(self, days: int) -> float:
        """Returns the size of the bucket after some days, without overwritten versions."""
        return self.files_of_day * days + self.spans_of_day * max(0, days - ARCHIVE_DAYS)


def at_runs(measured: Mapping[int, float], runs: float) -> float:
    """Returns the measured figure for searches, by the runs of an experiment; above those it grows with them."""
    found = next((value for known, value in measured.items() if runs <= known), None)
    known, value = [*measured.items()][-1]
    return value * runs / known if found is None else found
