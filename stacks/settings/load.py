"""Reads the settings of an environment: the file, then what the environment overrides; every problem at once."""

import copy
import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stacks.settings.cross_rules import broken_cross_rules
from stacks.settings.field_rules import RULE_BROKEN
from stacks.settings.model import PROD_DEFAULTS, Settings
from stacks.settings.problems import HIDDEN, Problem, SettingsError

OVERRIDE_PREFIX: Final = "MLFLOW_GCP__"
_TOML_URL: Final = "https://toml.io/en/v1.0.0"
_README: Final = "README.md#settings"

_SECRET_NAME: Final = re.compile("secret|password|passwd|token|credential|private|api_?key", re.IGNORECASE)

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
    overridden = _override(table, environ)
    problems, unusable, settings = _validate(table)
    problems += broken_cross_rules(settings, unusable=unusable)
    if problems:
        raise SettingsError(str(file), sorted((_name_origin(p, overridden) for p in problems), key=_position))
    return settings


def environments(folder: Path) -> list[str]:
    """The environments that have a file in a folder."""
    return sorted(file.stem for file in folder.glob("*.toml"))


def _read(file: Path) -> _Table:
    def refuse(rule: str, remedy: str, url: str) -> SettingsError:
        return SettingsError(str(file), [Problem(field="(file)", value=file.name, rule=rule, remedy=remedy, url=url)])

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(environments(file.parent)) or "none"
        raise refuse(f"the file exists; there are: {known}", "copy environments/example.toml", _README) from None
    except OSError as error:
        raise refuse(f"the file can be read ({error.strerror})", "check its type and permissions", _README) from None
    except UnicodeDecodeError as error:
        raise refuse(
            f"the file is UTF-8 ({error.reason} at byte {error.start})", "save it as UTF-8", _TOML_URL
        ) from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise refuse(f"the file is TOML ({reason})", "mend the syntax there", _TOML_URL) from None


def _override(table: _Table, environ: Mapping[str, str]) -> dict[str, str]:
    overridden: dict[str, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(OVERRIDE_PREFIX):
            continue
        first, *rest = variable.removeprefix(OVERRIDE_PREFIX).split("__")
        # The names inside service.env are the user's own, and their case matters.
        path = [first.lower(), *(part.lower() for part in rest[:1]), *rest[1:]]
        parent: _Table | None = table
        for part in path[:-1]:
            parent = _as_table(parent.setdefault(part, {})) if parent is not None else None
        # A file that has no table there is refused for that.
        if parent is not None:
            parent[path[-1]] = _parse(environ[variable], path)
            overridden[".".join(path)] = variable
    return overridden


def _as_table(value: object) -> _Table | None:
    return cast("_Table", value) if isinstance(value, dict) else None


def _parse(text: str, path: Sequence[str]) -> object:
    field = _field(path)
    if field is not None and field.annotation is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _field(path: Sequence[str | int]) -> FieldInfo | None:
    """The field of the model at a path, if there is one."""
    section = _section(str(path[0]))
    if section is None:
        return Settings.model_fields.get(str(path[0]))
    return section.model_fields.get(str(path[1])) if len(path) > 1 else None


def _validate(raw: _Table) -> tuple[list[Problem], set[str], Settings]:
    """Holds a table against the model; what is broken is replaced by an example, so that other rules can be tried."""
    table = _with_defaults(raw)
    try:
        return [], set(), Settings.model_validate(table)
    except ValidationError as error:
        details = error.errors(include_url=False)
    unusable: set[str] = set()
    usable = copy.deepcopy(table)
    for detail in details:
        unusable.add(_replace_by_example(usable, detail["loc"]))
    return [_problem(detail) for detail in details], unusable, Settings.model_validate(usable)


def _with_defaults(raw: _Table) -> _Table:
    table = copy.deepcopy(raw)
    # A section that is missing lacks its required fields: those are what the user must add.
    for name in Settings.model_fields:
        if _section(name):
            table.setdefault(name, {})
    for section, defaults in PROD_DEFAULTS.items() if table.get("profile") == "prod" else ():
        values = _as_table(table.setdefault(section, {}))
        if values is not None:
            table[section] = defaults | values
    return table


def _replace_by_example(table: _Table, location: Sequence[str | int]) -> str:
    """Puts an example, or nothing, in the place of a broken field; returns the field's name."""
    name = str(location[0])
    model = _section(name)
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


def _section(name: str) -> type[BaseModel] | None:
    """The model of a section, or None where the name is that of a plain field or of nothing."""
    field = Settings.model_fields.get(name)
    annotation = field.annotation if field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _problem(detail: ErrorDetails) -> Problem:
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    field = ".".join(path)
    value: object = detail["input"]
    match detail["type"]:
        case "missing":
            value = None
            rule, remedy, url = "the field is required", f"add it{_example(path)}", _README
        case "extra_forbidden":
            rule, remedy, url = "there is no such key", _nearest(field), _README
            if _SECRET_NAME.search(path[-1]):
                value, remedy = HIDDEN, f"remove it: no secret is a setting; {_README} says where secrets come from"
        case kind if kind == RULE_BROKEN:
            context = detail.get("ctx", {})
            rule, remedy, url = context["rule"], context["remedy"], context["url"]
            value = HIDDEN if context["hidden"] else value
        case _:
            rule = detail["msg"][0].lower() + detail["msg"][1:]
            remedy, url = f"write another kind of value{_example(path)}", _TOML_URL
    return Problem(field=field, value=value, rule=rule, remedy=remedy, url=url)


def _example(path: Sequence[str | int]) -> str:
    field = _field(path)
    if field is None:
        return ""
    example: object = field.examples[0] if field.examples else field.get_default(call_default_factory=True)
    return f", such as {json.dumps(example)}" if isinstance(example, str | int | list) else ""


def _all_fields() -> Iterator[str]:
    for name in Settings.model_fields:
        section = _section(name)
        yield from (f"{name}.{field}" for field in section.model_fields) if section else ()
        yield name


def _nearest(field: str) -> str:
    known = list(_all_fields())
    *section, key = field.split(".")
    elsewhere = [name for name in known if name.endswith(f".{key}")]
    similar = difflib.get_close_matches(field, known, n=1, cutoff=0.6)
    siblings = difflib.get_close_matches(key, [n.split(".")[-1] for n in known if n.split(".")[:-1] == section], n=1)
    nearest = [".".join((*section, name)) for name in siblings] or elsewhere or similar
    return f"write {nearest[0]}" if nearest else "remove it"


def _name_origin(problem: Problem, overridden: Mapping[str, str]) -> Problem:
    variable = overridden.get(problem.field)
    if variable is None:
        return problem
    return Problem(
        field=f"{problem.field} (from {variable})",
        value=problem.value,
        rule=problem.rule,
        remedy=problem.remedy,
        url=problem.url,
    )


def _position(problem: Problem) -> int:
    """Orders problems as the fields stand in the model."""
    fields = list(_all_fields())
    parts = problem.field.split(" ")[0].split(".")
    return next((fields.index(name) for name in (".".join(parts[:2]), parts[0]) if name in fields), len(fields))
