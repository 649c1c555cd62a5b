"""The commands of docs/runbook.md, to be run as they are written."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "runbook.md"


def block(heading: str, number: int, values: Mapping[str, str] | None = None) -> str:
    """Returns a block of shell commands.

    Args:
        heading: The heading that it stands under, without its number signs.
        number: Which block of that, from 1.
        values: Shell variables whose example values are replaced: lines `NAME=...` of the block.

    Raises:
        LookupError: The page has no such block, or the block no such variable.
    """
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", found[1], re.MULTILINE | re.DOTALL) if found else []
    if not 1 <= number <= len(blocks):
        raise LookupError(f"{PAGE.name} has {len(blocks)} blocks under {heading!r}, not {number}")
    text = blocks[number - 1]
    for name, value in (values or {}).items():
        text, count = re.subn(
            rf"^{name}=\S+", lambda _, n=name, v=value: f"{n}={shlex.quote(v)}", text, flags=re.MULTILINE
        )
        if not count:
            raise LookupError(f"block {number} under {heading!r} sets no {name}")
    return text
