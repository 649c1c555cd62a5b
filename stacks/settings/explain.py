"""Turns pydantic's errors into problems that a person can fix."""

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from image.mlflow_cloudrun import environment
from stacks.settings.field_rules import RULE_BROKEN
from stacks.settings.model import field_at, field_names
from stacks.settings.problems import HIDDEN, Problem

TOML_URL: Final = "https://toml.io/en/v1.0.0"
SETTINGS_PAGE: Final = "docs/settings.md"

_SECRET_NAME: Final = re.compile("secret|password|passwd|token|credential|private|api_?key", re.IGNORECASE)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_KEY_MARK: Final = "[key]"
"""The last part of a location when pydantic means a map's key and not its value."""


def explain(detail: ErrorDetails) -> Problem:
    """The problem behind one error of pydantic."""
    path = [str(part) for part in detail["loc"]]
    kind, value = detail["type"], detail["input"]
    about_key = kind != "extra_forbidden" and path[-1] == _KEY_MARK
    if about_key:
        path.pop()
    elif kind != "missing" and _may_be_secret(path, value, unknown=kind == "extra_forbidden"):
        value = HIDDEN
    context = detail.get("ctx", {})
    match kind:
        case "missing":
            value = None
            rule, remedy, url = "the field is required", f"add it{_example(path)}", SETTINGS_PAGE
        case "extra_forbidden":
            rule, remedy, url = "there is no such key", _nearest(path), SETTINGS_PAGE
            if _SECRET_NAME.search(path[-1]):
                remedy = f"remove it: no secret is a setting; {SETTINGS_PAGE} says where secrets come from"
        case "model_type":
            rule, remedy, url = "the section is a table", f"write [{path[0]}] and its fields below", SETTINGS_PAGE
        case "literal_error":
            rule, remedy, url = f"it is {context['expected']}", f"write one of these{_example(path)}", SETTINGS_PAGE
        case _ if kind == RULE_BROKEN:
            rule, remedy, url = context["rule"], context["remedy"], context["url"]
            value = HIDDEN if context["hidden"] else value
        case _:
            rule = detail["msg"][0].lower() + detail["msg"][1:]
            remedy, url = f"write a value of another type{_example(path)}", TOML_URL
    return Problem(field=dotted(path), value=value, rule=rule, remedy=remedy, url=url)


def dotted(path: Sequence[str]) -> str:
    """A path as TOML writes it: what is no bare key stands in quotes, so that it cannot forge a line of the message."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part) for part in path)


def position(problem: Problem) -> int:
    """Orders problems as the fields stand in the model."""
    fields = field_names()
    parts = problem.field.split(".")
    return next((fields.index(name) for name in (".".join(parts[:2]), parts[0]) if name in fields), len(fields))


def _may_be_secret(path: Sequence[str], value: object, *, unknown: bool) -> bool:
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return False  # it is not shown either
    if re.search(environment.GIVEAWAY_VALUE, text) or path[:2] == ["service", "env"]:
        return True
    # A table or a list in the wrong place brings its own names along; those of a field that is a map are a person's.
    names = path[-1:] if unknown else path[2:]
    shown = [text] if unknown or isinstance(value, dict | list) else []
    return any(_SECRET_NAME.search(named) for named in (*names, *shown))


def _example(path: Sequence[str]) -> str:
    field = field_at(path)
    example: Any = field and (field.examples[0] if field.examples else field.get_default(call_default_factory=True))
    return f", such as {json.dumps(example)}" if isinstance(example, str | int | list) else ""


def _nearest(path: Sequence[str]) -> str:
    """Says which field was meant: of the same name elsewhere, of a similar one beside it, or similar as a whole."""
    known = field_names()
    *section, key = path
    elsewhere = [name for name in known if name.split(".")[-1] == key]
    siblings = {name.split(".")[-1]: name for name in known if name.split(".")[:-1] == section}
    beside = [siblings[name] for name in difflib.get_close_matches(key, siblings, n=1)]
    similar = difflib.get_close_matches(".".join(path), known, n=1)
    nearest = elsewhere or beside or similar
    return f"write {nearest[0]}" if nearest else "remove it"
