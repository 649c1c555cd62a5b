"""The local cloud is of use to any Terraform project on Google: it knows nothing of this one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacks.settings.model import field_names

CHECKOUT = Path(__file__).parents[2]
# What this project deploys, its commands, its stacks, its files.
WORDS = (
    "mlflow",
    "oauth2.?proxy",
    "`make ",
    r"\bbootstrap",
    r"\btracking\b",
    "rotation number",
    "readme",
    r"\btools/",
    "environments/",
)
FILES = sorted(
    path for path in (CHECKOUT / "localcloud").rglob("*") if path.suffix in {".py", ".sh"} or path.name == "Dockerfile"
)


def test_all_of_its_files_are_looked_at() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("word", WORDS)
def test_no_file_of_it_has_a_word_of_this_project(word: str) -> None:
    pattern = re.compile(word, re.IGNORECASE)
    assert [str(path) for path in FILES if pattern.search(path.read_text())] == []


def test_no_message_of_it_names_a_setting_of_this_project() -> None:
    settings = re.compile("|".join(rf"\b{re.escape(path)}\b" for path in field_names() if "." in path))
    assert [(path.name, found) for path in FILES for found in settings.findall(path.read_text())] == []
