"""Reads the settings of an environment: the file, then what the environment overrides; every problem at once."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

from stacks.settings.effective import broken_cross_rules, completed
from stacks.settings.explain import SETTINGS_PAGE, TOML_URL, dotted, explain, position
from stacks.settings.model import Settings, field_at, section_of
from stacks.settings.problems import HIDDEN, Problem, SettingsError

OVERRIDE_PREFIX: Final = "MLFLOW_GCP__"

_Table = dict[str, Any]


def load(file: Path, environ: Mapping[str, str]) -> Settings:
    """Reads an environment's settings.

    Args:
        file: The TOML file.
        environ: Variables that override it: `MLFLOW_GCP__DATABASE__TIER` is `database.tier`.

    Raises:
        SettingsError: The file cannot be read, or what it says cannot be used.
    """
    table = _read(file)
    overrides, unreadable = _overrides(environ)
    overridden = _override(table, overrides)
    invalid, settings = _validate(table)
    if problems := [*invalid, *unreadable]:
        raise SettingsError(
            str(file), [_name_origin(problem, overridden) for problem in sorted(problems, key=position)]
        )
    return settings


def environments(folder: Path) -> list[str]:
    """The environments that have a file in a folder."""
    return sorted(file.stem for file in folder.glob("*.toml"))


def environment_file(folder: Path, name: str) -> Path:
    """The settings file of an environment.

    Args:
        folder: Where the files are.
        name: The environment; it also names a folder of the state.

    Raises:
        SettingsError: It is no name, but a path or a phrase.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name) is None:
        known = ", ".join(environments(folder)) or "none"
        problem = Problem(
            field="ENV",
            value=name,
            rule=f"an environment's name has letters, digits, - and _, like its file; known environments: {known}",
            remedy="write only the name, such as ENV=demo",
            url=SETTINGS_PAGE,
        )
        raise SettingsError(str(folder), [problem])
    return folder / f"{name}.toml"


def _read(file: Path) -> _Table:
    def refuse(why: str) -> SettingsError:
        return SettingsError(str(file), unreadable=why)

    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        known = ", ".join(environments(file.parent)) or "none"
        raise refuse(
            f"does not exist. Known environments: {known}. Copy environments/example.toml to add one."
        ) from None
    except OSError as error:
        raise refuse(f"cannot be read ({error.strerror}). Check its type and permissions.") from None
    except UnicodeDecodeError as error:
        raise refuse(f"is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise refuse(f"is not TOML ({reason}). Fix the syntax there; see {TOML_URL}") from None


def _overrides(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The variables that override something, in order, and a problem for each that is not text."""
    overrides: dict[str, str] = {}
    unreadable: list[Problem] = []
    for variable in sorted(name for name in environ if name.startswith(OVERRIDE_PREFIX)):
        try:
            # Bytes that are not UTF-8 come as lone surrogates: https://peps.python.org/pep-0383/
            f"{variable}={environ[variable]}".encode()
        except UnicodeEncodeError:
            unreadable.append(
                Problem(
                    field=dotted([variable]),
                    value=HIDDEN,
                    rule="name and value of a variable are UTF-8",
                    remedy="set it again, in UTF-8",
                    url=TOML_URL,
                )
            )
        else:
            overrides[variable] = environ[variable]
    return overrides, unreadable


def _override(table: _Table, overrides: Mapping[str, str]) -> dict[str, str]:
    """Puts the variables' values in their places; returns which variable is behind which field."""
    overridden: dict[str, str] = {}
    for variable, text in overrides.items():
        # The names inside service.env are the user's own: their case matters, and they may hold `__`.
        outer, inner = (parts := variable.removeprefix(OVERRIDE_PREFIX).split("__", 2))[:2], parts[2:]
        path = [*(part.lower() for part in outer), *inner]
        parent: _Table | None = table
        for part in path[:-1]:
            parent = _as_table(parent.setdefault(part, {})) if parent is not None else None
        # A file that has no table there is refused for that.
        if parent is not None:
            parent[path[-1]] = _parse(text, path)
            overridden[dotted(path)] = variable
    return overridden


def _as_table(value: object) -> _Table | None:
    return cast("_Table", value) if isinstance(value, dict) else None


def _parse(text: str, path: Sequence[str]) -> object:
    field = field_at(path)
    inside_a_map = len(path) > (2 if section_of(path[0]) else 1)
    if inside_a_map or (field is not None and field.annotation is str):
        return text
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # A line break could smuggle in more than a value.
    return parsed["value"] if len(parsed) == 1 else text


def _validate(raw: _Table) -> tuple[list[Problem], Settings]:
    """Holds a table against the model; what is broken is replaced by an example, so that other rules can be tried."""
    table = _with_sections(raw)
    try:
        settings = Settings.model_validate(table)
        problems: list[Problem] = []
        unusable: set[str] = set()
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [explain(detail) for detail in details]
        unusable = {_replace_by_example(table, detail["loc"]) for detail in details}
        settings = Settings.model_validate(table)
    settings, without = completed(settings, given=_given(table), unusable=unusable)
    return [*problems, *broken_cross_rules(settings, unusable=without)], settings


def _with_sections(raw: _Table) -> _Table:
    # A section that is missing lacks its required fields: those are what the user must add.
    return {**{name: {} for name in Settings.model_fields if section_of(name)}, **_copy(raw)}


def _given(table: _Table) -> set[str]:
    """The fields of sections that a table gives; an empty text gives nothing."""
    return {
        f"{name}.{field}"
        for name, values in table.items()
        for field, value in (_as_table(values) or {}).items()
        if value != ""
    }


def _copy(table: _Table) -> _Table:
    # Sections are changed, their values are not; those may be nested deeper than copy.deepcopy can follow.
    return {
        name: dict(section) if (section := _as_table(value)) is not None else value for name, value in table.items()
    }


def _replace_by_example(table: _Table, location: Sequence[str | int]) -> str:
    """Replaces a broken field by an example, or removes it; returns the field's name."""
    name = str(location[0])
    model = section_of(name)
    section = _as_table(table.get(name))
    if model is not None and section is not None and len(location) > 1:
        field = str(location[1])
        section.pop(field, None)
        section.update(_examples(model, only=field))
        return f"{name}.{field}"
    table.pop(name, None)
    table.update({name: _examples(model)} if model else _examples(Settings, only=name))
    return name


def _examples(model: type[BaseModel], *, only: str | None = None) -> _Table:
    return {
        name: field.examples[0]
        for name, field in model.model_fields.items()
        if field.is_required() and field.examples and only in (None, name)
    }


def _name_origin(problem: Problem, overridden: Mapping[str, str]) -> Problem:
    """Names the variable that set the field, or the section or list that the field is in."""
    origins = [name for name in overridden if f"{problem.field}.".startswith(f"{name}.")]
    if not origins:
        return problem
    variable = overridden[max(origins, key=len)]
    return dataclasses.replace(problem, field=f"{problem.field} (from {dotted([variable])})")
