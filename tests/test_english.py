"""Pages, messages and docstrings do without the phrases that read as translated."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.docs import CHECKOUT

INSTEAD = {
    r"\banew\b": "again",
    r"\bmend(s|ed)?\b": "fix",
    r"(^|[.;:] )Who (has|wants|needs)\b": "the subject first: 'If you have ...'",
    r"\bbut for\b": "except",
    r"\blacks?\b": "does not have, needs, is missing",
    r", too(?=[.;:)]|$)": "also, before the verb",
    r"\bin the place of\b": "instead of",
    r"\bnone of them counts\b": "all of them are ignored",
}
GOOGLE = ("lacks IAM permission",)
"""What Google says in its own words."""

TEXTS = ("*.md", "Makefile", "environments/*.toml", "image/mlflow_cloudrun/routes.toml")
CODE = (
    "main.py",
    *(f"{room}/**.py" for room in ["stacks", "image", "client", "policies", "localcloud", "containers", "tools"]),
)


def files(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return sorted(CHECKOUT / name for name in listed.stdout.splitlines())


def said(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page, or the strings of a program, each with its line's number."""
    if file.suffix != ".py":
        yield from enumerate(file.read_text().splitlines(), start=1)
        return
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), start=node.lineno)


def found(text: str) -> list[str]:
    """What to write instead of each phrase in a text that should not be there."""
    own = re.sub("|".join(map(re.escape, GOOGLE)), "", text)
    return [f"{match[0]!r}: {better}" for phrase, better in INSTEAD.items() for match in re.finditer(phrase, own)]


def test_no_page_or_message_reads_as_translated() -> None:
    everything = [(file, number, text) for file in files(*TEXTS, *CODE) for number, text in said(file)]
    assert len({file for file, _, _ in everything}) > 200
    assert [
        f"{file.relative_to(CHECKOUT)}:{number}: {one}" for file, number, text in everything for one in found(text)
    ] == []


@pytest.mark.parametrize(
    "text",
    ["it is made anew.", "That holds here, too.", "Who has Terraform calls it.", "all but for one", "it lacks a role"],
)
def test_a_phrase_that_reads_as_translated_is_named(text: str) -> None:
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["not too many, and too late", "somebody who has access", "but force it", "the principal lacks IAM permission x"],
)
def test_ordinary_english_is_not(text: str) -> None:
    assert found(text) == []
