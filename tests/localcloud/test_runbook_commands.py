"""The local cloud, and with it the drill, knows the runbook's commands, except those that are listed."""

from __future__ import annotations

import re
import shlex

import pytest

from localcloud.commands.commands import Unknown, parted
from localcloud.commands.server import COMMANDS
from tools.runbook import PAGE, block

BLOCKS = re.sub(
    r"\\\n\s*", "", "\n".join(re.findall(r"^ *```bash\n(.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
)
LINES = [line.strip() for line in re.findall(r"gcloud (?:[^|\n`']|'[^']*')*", BLOCKS)]
NOT_HERE = {
    "gcloud auth",
    "gcloud beta services",
    "gcloud compute",
    "gcloud kms",
    "gcloud logging read 'jsonPayload.write.ids",  # its --format
    "gcloud secrets",
    "gcloud services enable",
    "gcloud run revisions",
    "gcloud run services logs",
    "gcloud run services update-traffic",
    "gcloud run services update mlflow --update-labels",
    "gcloud sql export",
    "gcloud sql instances create",
    "gcloud sql ssl",
    "gcloud storage cp --recursive",
    "gcloud storage service-agent",
}
"""What the local cloud does not have, by the words that the commands begin with; tests/commands.toml says so."""


def is_here(line: str) -> bool:
    return not line.startswith(tuple(NOT_HERE))


def parse(line: str) -> None:
    line = line.replace('"$(date +%s)"', "1")
    words = shlex.split(re.sub(r"\)\"$|[<2]*>? ?/dev/null|(?<!=)[>|] .*|\|\| true", "", line), comments=True)[1:]
    name, arguments = parted(COMMANDS, words)
    COMMANDS[name].parser(name).parse_args(arguments)


@pytest.mark.parametrize("line", filter(is_here, LINES))
def test_each_can_be_run_here(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("words", sorted(NOT_HERE))
def test_what_is_not_here_is_on_the_page_and_refused(words: str) -> None:
    line = next(line for line in LINES if line.startswith(words))
    with pytest.raises(Unknown):
        parse(line)


def test_there_are_enough_of_them() -> None:
    assert len([line for line in LINES if is_here(line)]) > 25


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
