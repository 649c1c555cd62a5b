"""`make size`: says how large a deployment is for so many people and runs, with the settings for it.

PEOPLE, RUNS and METRICS (of a run) are given, or asked for at a terminal; docs/sizing.md says what the rest rests on.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from stacks.settings.explain import explain
from stacks.settings.load import OVERRIDE_PREFIX, load
from stacks.settings.model import Settings
from stacks.settings.problems import Problem, SettingsError
from tools.sizing import figures
from tools.sizing.load import ASSUMED, PAGE, Load
from tools.sizing.plan import GB, Plan, plan
from tools.sizing.standing import billed

EXAMPLE: Final = Path(__file__).parents[1] / "environments/example.toml"
ASKED: Final = {
    "people": "How many people use it? ",
    "runs": "How many runs do all of them make on a day? ",
    "metrics": "How many values of metrics does a run log? ",
}
_MONTH, _YEAR = 30, 365


def understood(given: Mapping[str, str]) -> Load:
    """Reads what was given, by the names of Load's fields.

    Raises:
        SettingsError: Something is missing or cannot be; all of it is named.
    """
    values = {name: _number(text) for name, text in given.items() if text}
    try:
        return Load.model_validate(values)
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors(include_url=False)]
        raise SettingsError("make size", problems) from None


def _explain(detail: Any) -> Problem:  # noqa: ANN401 - pydantic's own
    (name,) = detail["loc"]
    if detail["type"] == "missing":
        return Problem(
            field=name,
            value=None,
            rule=ASKED[name].strip(),
            remedy=f"make size {' '.join(f'{one.upper()}=...' for one in ASKED)}, or answer at a terminal",
            url=PAGE,
        )
    if detail["type"] == "int_type":
        return Problem(
            field=name, value=detail["input"], rule="it is a whole number", remedy="write only digits", url=PAGE
        )
    return explain(detail)


def _number(text: str) -> str | int:
    plain = text.replace(",", "").replace("_", "")
    return int(plain) if plain.isascii() and plain.removeprefix("-").isdecimal() else text


def settings_of(made: Plan) -> Settings:
    """The example's settings with those of a plan, held against every rule.

    Raises:
        SettingsError: A rule is broken.
    """
    overrides = {"profile": made.load.profile, **made.settings}
    return load(
        EXAMPLE,
        {f"{OVERRIDE_PREFIX}{path.replace('.', '__').upper()}": _override(value) for path, value in overrides.items()},
    )


def _override(value: str | int | bool) -> str:  # noqa: FBT001 - a value of a settings file
    return str(value).lower() if isinstance(value, bool) else str(value)


def report(made: Plan) -> str:
    """Returns the text of a plan."""
    asked, demand, settings = made.load, made.demand, settings_of(made)
    service, (used, available) = settings.service, made.connections
    first = made.limits[0]
    kept = "kept running" if service.min_instances else "kept running: the first call after a pause waits for a start"
    rows = {
        "tier": f"{settings.database.tier} ({asked.engine})",
        "instances": f"{service.min_instances} {kept}; at most {service.max_instances}, of {service.cpu} CPU and"
        f" {service.memory}",
        "concurrency": f"{service.concurrency} requests at a time for each instance",
        "connections": f"{used} of {available}, two revisions and the jobs together",
        "calls": ", ".join(f"{count:,.1f} {kind}/s" for kind, count in demand.calls.items()) + " at the peak",
        "database": f"{_grown(demand.database_bytes)}; a run is {_size(demand.bytes_of_run)}",
        "disk": f"{made.disk_gb:,} GB after {asked.days:,} days, beside the database's own files and logs",
        "bucket": _grown(demand.bucket_bytes),
        "memory": f"an instance was measured at {figures.read().memory_mib:.0f} MiB after a load, of {service.memory}",
        "reached first": str(first),
    }
    head = (
        f"{asked.people:,} people, {asked.runs:,} runs a day with {asked.metrics:,} values of metrics and"
        f" {asked.artifacts_mb:,} MB of files each, {asked.traces:,} traces a day, kept for {asked.days:,} days"
    )
    return "\n".join(
        (
            head,
            *(f"  {name:14}{what}" for name, what in rows.items()),
            "\nOf what there is, at the peak and at the end of the days:",
            *(f"  {limit}; then {limit.then}" for limit in made.limits),
            "\nBilled while nobody calls:",
            *(f"  - {line}" for line in billed(settings)),
            "\nAssumed:",
            *(f"  - {line}" for line in ASSUMED),
            f'\nFor a settings file with profile = "{asked.profile}":\n',
            made.toml(),
        )
    )


def _grown(after: Callable[[int], float]) -> str:
    return f"{_size(after(_MONTH))} after a month, {_size(after(_YEAR))} after a year"


def _size(count: float) -> str:
    for unit, size in (("TB", 1_000 * GB), ("GB", GB), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1_000:,.1f} kB"


def ask(given: Mapping[str, str], answer: Callable[[str], str]) -> dict[str, str]:
    """Asks for what was not given."""
    return {**given, **{name: answer(question).strip() for name, question in ASKED.items() if not given.get(name)}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the size, or everything that is wrong."""
    parser = argparse.ArgumentParser(prog="make size", description=__doc__)
    for name in Load.model_fields:
        parser.add_argument(f"--{name.replace('_', '-')}", default="")
    given: dict[str, str] = vars(parser.parse_args(arguments))
    try:
        made = plan(understood(ask(given, input) if sys.stdin.isatty() else given), figures.read())
        print(report(made), end="")
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
