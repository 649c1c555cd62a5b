"""Every field takes what Google takes, and refuses the rest at its own place, with a rule, a remedy and a page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacks.settings.derived import DERIVED
from stacks.settings.model import Settings, field_names, section_of
from tests.settings.entries import BAD_LABEL_VALUES, BAD_LABELS, FREE_NAMES, RESERVED, SECRETS
from tests.settings.files import GOOD, changed, read, refused
from tests.settings.rows import ROWS

CHECKOUT = Path(__file__).parents[2]


def _name(value: object) -> str:
    return repr(value)[:60].encode("ascii", "backslashreplace").decode()


def _good() -> Iterator[Any]:
    for field, row in ROWS.items():
        for value in row.good:
            yield pytest.param({**row.beside, field: value}, id=f"{field}={_name(value)}")


def _bad() -> Iterator[Any]:
    for field, row in ROWS.items():
        for value in row.bad:
            yield pytest.param(field, {**row.beside, field: value}, id=f"{field}={_name(value)}")


def test_every_field_of_the_model_has_a_row() -> None:
    assert set(ROWS) == {name for name in field_names() if section_of(name) is None}


@pytest.mark.parametrize("changes", list(_good()))
def test_accepted(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = read(tmp_path, changed(changes)).model_dump()
    for field, value in changes.items():
        section, _, name = field.rpartition(".")
        derived = value is None or (value == "" and field in DERIVED)
        assert (settings[section] if section else settings)[name] == value or derived


@pytest.mark.parametrize(("field", "changes"), list(_bad()))
def test_refused_at_its_own_place(tmp_path: Path, field: str, changes: dict[str, Any]) -> None:
    for problem in refused(tmp_path, changed(changes)):
        assert f"{problem.field}.".startswith(f"{field}.")
        assert problem.url.startswith("https://") or field == "profile"


@pytest.mark.parametrize("field", ROWS)
@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), [[]], {"x": {}}, [1], -1], ids=repr)
def test_another_kind_of_value_is_refused(tmp_path: Path, field: str, value: object) -> None:
    problems = refused(tmp_path, changed({field: value}))
    assert {".".join(problem.field.split(".")[: field.count(".") + 1]) for problem in problems} == {field}


@pytest.mark.parametrize("field", ["region", "project.id", "project.number", "service.image"])
def test_a_required_field_is_asked_for_with_an_example(tmp_path: Path, field: str) -> None:
    (problem,) = refused(tmp_path, changed({field: None}))
    assert (problem.field, problem.value, problem.rule) == (field, None, "the field is required")
    assert problem.remedy.startswith("add it, such as ")


def test_what_is_not_required_has_a_default(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    assert settings.profile == "dev"
    assert settings.service.max_instances == 3
    assert Settings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize("label", BAD_LABELS)
def test_a_label_key_is_refused_by_name(tmp_path: Path, label: dict[str, str]) -> None:
    (problem,) = refused(tmp_path, changed({"labels": label}))
    assert problem.field.startswith("labels.")
    assert problem.value == next(iter(label))
    assert "a label's key" in problem.rule


@pytest.mark.parametrize("value", BAD_LABEL_VALUES)
def test_a_label_value_is_refused_under_its_key(tmp_path: Path, value: str) -> None:
    (problem,) = refused(tmp_path, changed({"labels": {"team": value}}))
    assert (problem.field, problem.value) == ("labels.team", value)


@pytest.mark.parametrize("name", RESERVED)
def test_a_variable_that_would_open_or_break_the_service_is_refused(tmp_path: Path, name: str) -> None:
    (problem,) = refused(tmp_path, changed({"service.env": {name: "1"}}))
    assert problem.field == f"service.env.{name}"


@pytest.mark.parametrize("name", FREE_NAMES)
def test_other_variables_are_the_users_own(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, changed({"service.env": {name: "1"}})).service.env == {name: "1"}


@pytest.mark.parametrize("value", SECRETS)
def test_a_secret_in_a_variable_is_refused_and_not_shown(tmp_path: Path, value: str) -> None:
    (problem,) = refused(tmp_path, changed({"service.env": {"SETTING": value}}))
    assert problem.field == "service.env.SETTING"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("part", ["a", "://", "a:", "ey"])
def test_a_long_value_is_judged_in_time(tmp_path: Path, part: str) -> None:
    """A pattern that tries every beginning and end would take hours."""
    settings = f"changed({{'service.env': {{'LONG': {part!r} * 50_000}}}})"
    script = f"from pathlib import Path; from tests.settings.files import changed, read; read(Path('.'), {settings})"
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, timeout=60, check=True)
