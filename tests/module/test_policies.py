"""What the module makes of its variables keeps checkov's policies and our own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.module.clouds import MODULE, copy_of_module, opened
from tests.policies.plans import CHECKOV_ERRS
from tools.scan import scan

if TYPE_CHECKING:
    from pathlib import Path

ALIKE = {"adopt", "teams", "two-trackers"}
"""They have what `minimal` has."""
EXAMPLES = sorted({folder.name for folder in (MODULE / "examples").iterdir()} - ALIKE)

# No signatures of attacks in Cloud Armor: a trace may quote one, nothing here is Java, and checkov's check of it
# crashes on a document in JSON.
LEFT_OUT = {*CHECKOV_ERRS, "CKV_GCP_73"}


def test_the_documents_keep_the_policies() -> None:
    result = scan(MODULE)
    assert [str(finding) for finding in result.failed] == []
    assert {finding.file for finding in result.passed} == {
        "main.tf.json",
        "modules/iap/main.tf.json",
        "modules/service/main.tf.json",
    }


def test_the_plans_of_the_examples_keep_the_policies(tmp_path: Path, enabled: Path) -> None:
    home, plans = shutil.copytree(enabled, tmp_path / "cloud"), tmp_path / "plans"
    plans.mkdir()
    module = copy_of_module(tmp_path)
    for example in EXAMPLES:
        with opened(home, module / "examples" / example) as workspace:
            (plans / f"{example}.json").write_text(json.dumps(workspace.plan()))
    result = scan(plans)
    assert [str(finding) for finding in result.failed if finding.check_id not in LEFT_OUT] == []
    assert {finding.file for finding in result.passed} == {f"{example}.json" for example in EXAMPLES}
