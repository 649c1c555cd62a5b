"""Settings files for tests: a good one, and ways to spoil it."""

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest

from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.settings.problems import Problem, SettingsError

Table = dict[str, Any]

DIGEST: Final = "@sha256:" + "0123456789abcdef" * 4
IMAGE: Final = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow"

GOOD: Final[Table] = {
    "region": "europe-west1",
    "project": {"id": "acme-ml-dev", "number": "123456789012"},
    "service": {"image": f"{IMAGE}:3.17.2"},
    "access": {
        "oauth_client_id": "123456789012-abcdef.apps.googleusercontent.com",
        "email_domains": ["example.com"],
    },
}
"""What a file must say, and no more."""


def changed(changes: Table) -> Table:
    """The good settings with fields changed.

    Args:
        changes: Values by field, such as `{"database.tier": "db-f1-micro"}`; None takes the field out.
    """
    table = copy.deepcopy(GOOD)
    for field, value in changes.items():
        *section, key = field.split(".", 2) if field.startswith("service.env.") else field.split(".", 1)
        parent = table
        for name in section:
            parent = parent.setdefault(name, {})
        parent[key] = value
        if value is None:
            del parent[key]
    return table


def toml(value: object, *, top: bool = True) -> str:
    """Writes a table as TOML; the tables inside are inline, and JSON's strings, numbers and arrays are TOML's too."""
    if not isinstance(value, dict):
        return f"[{', '.join(toml(item, top=False) for item in value)}]" if isinstance(value, list) else _scalar(value)
    pairs = [f"{json.dumps(key)} = {toml(item, top=False)}" for key, item in value.items()]
    return "".join(f"{pair}\n" for pair in pairs) if top else f"{{{', '.join(pairs)}}}"


def _scalar(value: object) -> str:
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan").replace("\x7f", "\\u007f")


def read(folder: Path, content: str | bytes | Table, **environ: str) -> Settings:
    """Loads a file with a content, overridden by variables."""
    file = folder / "env.toml"
    content = toml(content) if isinstance(content, dict) else content
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(file, environ)


def refused(folder: Path, content: str | bytes | Table, **environ: str) -> tuple[Problem, ...]:
    """The problems of a file that must have some."""
    with pytest.raises(SettingsError) as caught:
        read(folder, content, **environ)
    problems = caught.value.problems
    assert problems
    for problem in problems:
        assert_helpful(problem)
        assert str(problem) in str(caught.value)
    return problems


def assert_helpful(problem: Problem) -> None:
    """A problem says where, what must hold, what to do, and which page says so."""
    for text in (problem.field, problem.rule, problem.remedy):
        assert text.strip()
        assert "\n" not in text
    assert problem.url.startswith(("https://", "docs/")), problem.url
