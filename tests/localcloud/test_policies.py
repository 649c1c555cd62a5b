"""The policies hold for what Terraform plans, not only for what was written."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from stacks import addresses
from tests.policies.plans import CHECKOV_ERRS
from tests.stacks.documents import NAMES
from tools.scan import scan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.conftest import Open


def test_every_plan_keeps_the_policies(open_workspace: Open, tmp_path: Path) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    for environment in NAMES:
        workspace = open_workspace(environment, "tracking")
        (plans / f"{environment}.json").write_text(json.dumps(workspace.plan()))
        _forget(workspace.folder, workspace.home)
    result = scan(plans)
    assert [str(finding) for finding in result.failed if finding.check_id not in CHECKOV_ERRS] == []
    assert {finding.file for finding in result.passed} == {f"{environment}.json" for environment in NAMES}


def test_a_plan_that_breaks_a_policy_is_found(open_workspace: Open, tmp_path: Path) -> None:
    workspace = open_workspace()
    document = workspace.document
    settings = document["resource"]["google_sql_database_instance"]["tracking"]["settings"]
    settings["ip_configuration"]["authorized_networks"] = [{"name": "all", "value": "0.0.0.0/0"}]
    workspace.document = document
    (tmp_path / "plan.json").write_text(json.dumps(workspace.plan()))
    assert addresses.INSTANCE in {finding.resource for finding in scan(tmp_path / "plan.json").failed}


def _forget(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)
