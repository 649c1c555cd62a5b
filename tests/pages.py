"""The project's pages, and what they name."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from tools.docs import CHECKOUT

PAGES = sorted(
    (CHECKOUT / name)
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
"""A test, as the pages name it."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))


def code_in(text: str) -> str:
    """Blocks and spans of code."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def make_targets() -> set[str]:
    """The names of the Makefile's targets."""
    return set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def functions_of(file: str) -> set[str]:
    """The functions at the top of a Python file."""
    body = ast.parse((CHECKOUT / file).read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}
