"""The runbook's import blocks take over what a lost state left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from tests.localcloud.conftest import Open

RUNBOOK = CHECKOUT / "docs" / "runbook.md"


def test_the_runbook_adopts_what_a_lost_state_left(open_workspace: Open) -> None:
    prod = open_workspace("prod")
    prod.apply()
    prod.terraform("state", "rm", *prod.addresses())

    blocks = re.findall(r"^  to = ([\w.]+)", RUNBOOK.read_text(), re.MULTILINE)
    adopt = RUNBOOK.read_text().partition("<<'END'\n")[2].partition("END\n")[0]
    (prod.folder / "adopt.tf").write_text(adopt)
    plan = prod.plan()["resource_changes"]
    imported = {change["address"].partition("[")[0] for change in plan if "importing" in change["change"]}
    assert imported == set(blocks)
    assert {action for change in plan for action in change["change"]["actions"]} <= {"no-op", "create", "update"}

    prod.apply()
    assert prod.plans_nothing()
