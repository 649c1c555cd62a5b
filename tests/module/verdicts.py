"""The same inputs, held against the settings and against the module's variables by the real `terraform plan`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.terraform import ENGINE
from stacks.hcl import escaped
from stacks.settings.model import Settings, section_of
from stacks.settings.problems import Problem, SettingsError
from stacks.variables.declarations import LEFT_OUT
from tests.settings.cases import CASES
from tests.settings.entries import BAD_LABEL_VALUES, BAD_LABELS, FREE_NAMES, RESERVED, SECRETS
from tests.settings.files import Table, changed, read
from tests.settings.rows import ROWS
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_LIMIT = 120  # seconds; a plan takes one or two
# The calls of a plan: the time that Terraform takes for one rises with the square of its size.
_CALLS: Final = tuple(f"call_{number:02}" for number in range(25))
_VARIABLES: Final = json.loads((CHECKOUT / "module" / "variables.tf.json").read_text())
_SECRET: Final = "GOCSPX-of-nobody"  # noqa: S105 - it opens nothing
KINDS: Final = "other kinds of values"
OTHER_KINDS: Final = (1.5, {"x": {}}, [1], "1", "true")


@dataclass(frozen=True, kw_only=True)
class Input:
    """What is tried: the good settings with some changed.

    Attributes:
        group: What it tries, for the table.
    """

    group: str
    changes: Table


def inputs() -> list[Input]:
    """Every input, but those of settings that the module leaves out."""
    groups = {
        "single settings": _single(),
        "entries of maps": _entries(),
        "between settings": _between(),
        KINDS: _other_kinds(),
        "unknown attributes": _unknown(),
    }
    return [
        Input(group=group, changes=changes)
        for group, found in groups.items()
        for changes in found
        if not any(name.split(".")[0] in LEFT_OUT for name in changes)
    ]


def _single() -> Iterator[Table]:
    for field, row in ROWS.items():
        for value in (*row.good, *row.bad):
            yield {**row.beside, field: value}


def _entries() -> Iterator[Table]:
    yield from ({"labels": label} for label in BAD_LABELS)
    yield from ({"labels": {"team": value}} for value in BAD_LABEL_VALUES)
    yield from ({"service.env": {name: "1"}} for name in (*RESERVED, *FREE_NAMES))
    yield from ({"service.env": {"SETTING": value}} for value in SECRETS)


def _between() -> Iterator[Table]:
    for case in CASES:
        yield case.bad
        yield {**case.bad, **case.mend}
    yield from ({"service.image": ROWS["service.image"].good[1], **changes} for changes in _PROFILES)
    yield {"database.tier": "db-custom-1-3968"}  # half a step


def _other_kinds() -> Iterator[Table]:
    for field in ROWS:
        yield from ({field: value} for value in OTHER_KINDS)
    yield from ({field: None} for field in ("service.image", "access.oauth_client_id"))


def _unknown() -> Iterator[Table]:
    yield from (
        {field: "x"} for field in ("access.email_domain", "bucket.lifecycle", "database.teir", "service.timeout")
    )


_PROFILES: Final = (
    {"profile": "prod"},
    {"profile": "prod", "database.backups": False},
    {"profile": "prod", "database.point_in_time_recovery": False},
    {"profile": "prod", "database.point_in_time_recovery": False, "database.high_availability": False},
    {"profile": "prod", "database.engine": "mysql", "database.version": "17"},
    {"profile": "prod", "access.gcloud_tokens": True},
    {"profile": "prod", "access.adc_tokens": True},
    {"profile": "dev", "database.high_availability": True, "database.point_in_time_recovery": True},
)


def problems_in_settings(folder: Path, one: Input) -> tuple[Problem, ...]:
    """What a settings file with an input has wrong."""
    try:
        read(folder, changed(one.changes))
    except SettingsError as error:
        return error.problems
    return ()


def problems_in_module(folder: Path, tried: Sequence[Input]) -> list[list[str]]:
    """What Terraform says of each input, with the values that it shows; many are in one plan.

    Each is a call of the module in a file of its own, by which its problems are told from those of others. A rule that
    reads several variables is held only once no variable breaks one of its own: so what was refused is taken out, and
    the rest is planned again, until a plan refuses nothing.

    Inputs that change the same variables are planned together, with a module of the validations that read one of them:
    the others judge the good settings alone, which an input without a change tries with all validations.
    """
    (folder / "module").mkdir(parents=True)
    _write(folder / "module" / "variables", _VARIABLES)
    for call in _CALLS:
        _write(folder / call, {"module": {call: {"source": "./module"}}})
    _terraform(folder, "init")
    groups: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for number, one in enumerate(tried):
        groups[_changed_variables(one)].append(number)
    said: dict[int, list[str]] = {}
    for names, numbers in groups.items():
        _write(folder / "module" / "variables", _reading(names) if names else _VARIABLES)
        for start in range(0, len(numbers), len(_CALLS)):
            batch = numbers[start : start + len(_CALLS)]
            said |= zip(batch, _problems(folder, [tried[number] for number in batch]), strict=True)
    return [said[number] for number in range(len(tried))]


def _problems(folder: Path, tried: Sequence[Input]) -> list[list[str]]:
    left = dict(zip(_CALLS, tried, strict=False))
    for call in _CALLS:
        (folder / f"{call}.tf.json").unlink(missing_ok=True)
    for call, one in left.items():
        _write(folder / call, {"module": {call: {"source": "./module", **escaped(arguments(one.changes))}}})
    said: defaultdict[str, list[str]] = defaultdict(list)
    while left and (refused := _refused(folder)):
        for call, details in refused.items():
            said[call] += details
            (folder / f"{call}.tf.json").unlink()
            del left[call]
    return [said[call] for call in _CALLS[: len(tried)]]


def _changed_variables(one: Input) -> frozenset[str]:
    good, given = arguments({}), arguments(one.changes)
    # As JSON, for 1 is True in Python.
    return frozenset(name for name in given if json.dumps(given[name]) != json.dumps(good[name]))


def _reading(names: Iterable[str]) -> dict[str, Any]:
    """The module's variables, with those of their validations that read one of `names`."""
    reads = re.compile(rf"\bvar\.({'|'.join(names)})\b")
    variables = {
        name: {**variable, "validation": [one for one in variable.get("validation", ()) if reads.search(str(one))]}
        for name, variable in _VARIABLES["variable"].items()
    }
    return {"variable": variables}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.with_name(f"{path.name}.tf.json").write_text(json.dumps(document, indent=1))


def arguments(changes: Table) -> dict[str, Any]:
    """The good settings, with some changed, as arguments; all are given, for Terraform tells where an argument is."""
    fields = Settings.model_fields.items()
    optional = {name: {} for name, field in fields if section_of(name) and not field.is_required()}
    table = {**optional, "labels": {}, "name": "mlflow", "profile": "dev", **changed(changes)}
    for left_out in LEFT_OUT:
        table.pop(left_out, None)
    project = table.pop("project")
    rest = {f"project_{name}": value for name, value in project.items()} if isinstance(project, dict) else {}
    return {**table, **rest, "oauth_client_secret": _SECRET}


def _refused(folder: Path) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in _terraform(folder, "plan", "-json").stdout.splitlines():
        message = json.loads(line)
        if message["@level"] == "error":
            diagnostic = message["diagnostic"]
            # Of a value that has the wrong type, OpenTofu shows where the variable is declared, and says whose it is.
            named = re.search(r"\bcall_\d+", f"{diagnostic['range']['filename']} {diagnostic['detail']}")
            assert named, f"the module itself is wrong: {diagnostic}"
            name = named[0]
            shown = [
                f"{one['traversal']} {one['statement']}" for one in diagnostic.get("snippet", {}).get("values", ())
            ]
            found[name].append("\n".join((diagnostic["detail"], *shown)))
    return found


def _terraform(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENGINE, *command, "-no-color"],
        cwd=folder,
        # So short a run has little use for Go's garbage collector: https://go.dev/doc/gc-guide#GOGC.
        env=os.environ | {"CHECKPOINT_DISABLE": "1", "GOGC": "400"},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What both say of one input."""

    input: Input
    in_settings: tuple[Problem, ...]
    in_module: list[str]

    @property
    def equal(self) -> bool:
        return bool(self.in_settings) == bool(self.in_module)


def verdicts(folder: Path) -> list[Verdict]:
    """Holds every input against both."""
    tried = inputs()
    return [
        Verdict(input=one, in_settings=problems_in_settings(folder, one), in_module=said)
        for one, said in zip(tried, problems_in_module(folder, tried), strict=True)
    ]


def table(found: list[Verdict]) -> str:
    """The verdicts in numbers, as a Markdown table."""
    groups = dict.fromkeys(one.input.group for one in found)
    rows = [(group, [one for one in found if one.input.group == group]) for group in groups]
    return "\n".join(
        (
            "| what was tried | inputs | accepted by both | refused by both | refused by settings alone |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(_row(name, those) for name, those in (*rows, ("all", found))),
        )
    )


def _row(name: str, those: list[Verdict]) -> str:
    accepted = sum(1 for one in those if not one.in_settings and not one.in_module)
    refused = sum(1 for one in those if one.in_settings and one.in_module)
    alone = sum(1 for one in those if one.in_settings and not one.in_module)
    return f"| {name} | {len(those)} | {accepted} | {refused} | {alone} |"
