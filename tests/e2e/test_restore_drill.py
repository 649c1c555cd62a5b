"""`make restore-drill`: what was lost comes back by the runbook's own commands, on real servers."""

from __future__ import annotations

import re

import pytest

from tools.restore_drill import run
from tools.runbook import block

pytestmark = pytest.mark.rehearsal

REHEARSED = {
    "To a point in time": (1, 2, 3),
    "Deleted or overwritten artifacts": (1,),
    "Back to the instance of the deployment": (1, 2),
}


def test_runs_models_and_files_that_are_gone_for_good_come_back() -> None:
    """The drill itself compares what is back with what there was, on the clone and after the way back."""
    said: list[str] = []
    run("postgresql", said.append)
    assert said[-1] == "everything is back, and everything is removed"
    run_lines = {line.removeprefix("  $ ") for line in said if line.startswith("  $ ")}
    written = {
        line
        for heading, numbers in REHEARSED.items()
        for number in numbers
        for line in block(heading, number).strip().splitlines()
        if not re.match(r"(WHEN|FOLDER)=", line)  # the page's examples
    }
    assert written <= run_lines
