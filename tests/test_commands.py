"""Every block of commands or code on the pages is held by a test, or commands.toml says why not."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from tests.pages import PAGES, functions_of
from tools.docs import CHECKOUT

HELD: Final[dict[str, dict[str, list[str]]]] = tomllib.loads(Path(__file__).with_name("commands.toml").read_text())
LANGUAGES: Final = {"bash", "sh", "hcl", "python", "javascript", "java", "r", "yaml"}
WAYS: Final = re.compile(r"(?:runs|the same|parses): (tests/[\w/]+\.py)::(\w+)|not run: .{10,}")


def blocks(page: Path) -> dict[str, int]:
    """How many blocks of commands or code stand under each heading of a page."""
    found: defaultdict[str, int] = defaultdict(int)
    heading, inside = "", False
    for line in page.read_text().splitlines():
        fence = re.match(r" *```(\w*)", line)
        if fence and not inside:
            found[heading] += fence[1] in LANGUAGES
        inside ^= bool(fence)
        if not inside and (title := re.match(r"#+ (.+)", line)):
            heading = title[1]
    return {name: count for name, count in found.items() if count}


def test_every_block_has_what_holds_it() -> None:
    shown = {str(page.relative_to(CHECKOUT)): there for page in PAGES if (there := blocks(page))}
    assert {page: {name: len(ways) for name, ways in headings.items()} for page, headings in HELD.items()} == shown


@pytest.mark.parametrize("page", HELD)
def test_what_holds_a_block_is_there(page: str) -> None:
    for ways in HELD[page].values():
        for way in ways:
            named = WAYS.fullmatch(way)
            assert named, way
            assert not named[1] or named[2] in functions_of(named[1]), way
