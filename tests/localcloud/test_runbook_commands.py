"""The runbook's commands for bringing something back are those that the local cloud, and so the drill, can run."""

from __future__ import annotations

import re
import shlex

import pytest

from localcloud.commands.commands import Unknown, parted
from localcloud.commands.server import COMMANDS
from tools.runbook import PAGE, block

SECTION = PAGE.read_text().partition("## Back up and restore\n")[2].partition("\n## ")[0]
# A way out where no backup is kept, which is not rehearsed.
NOT_HERE = "gcloud sql export sql "
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL))
LINES = [line.strip() for line in re.findall(r"gcloud [^|\n`]*", BLOCKS)]


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith(NOT_HERE)])
def test_each_can_be_run_here(line: str) -> None:
    words = shlex.split(re.sub(r"\)\"$|[<2]*>? ?/dev/null|[>|] .*|\|\| true", "", line), comments=True)[1:]
    name, arguments = parted(COMMANDS, words)
    COMMANDS[name].parser(name).parse_args(arguments)


def test_there_are_enough_of_them() -> None:
    assert len(LINES) > 15


def test_a_command_that_is_not_here_would_be_noticed() -> None:
    with pytest.raises(Unknown, match="the local cloud has no `gcloud sql export sql`"):
        parted(COMMANDS, ["sql", "export", "sql", "db"])


def test_a_block_takes_other_values_than_the_examples_and_nothing_else_changes() -> None:
    written, run = block("To a point in time", 1), block("To a point in time", 1, {"WHEN": "it's then"})
    assert run.splitlines()[1:] == written.splitlines()[1:]
    assert run.startswith("WHEN='it'\"'\"'s then'  ")
    with pytest.raises(LookupError, match="sets no THEN"):
        block("To a point in time", 1, {"THEN": ""})
    with pytest.raises(LookupError, match="has 0 blocks under 'Nowhere'"):
        block("Nowhere", 1)
