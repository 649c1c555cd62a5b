"""The plans that the policies are tried on have the form of Terraform's own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from harness.terraform import ENGINE
from tests.policies.plans import plan_of, shapes

if TYPE_CHECKING:
    from pathlib import Path

# `terraform_data` is built into Terraform: it needs no provider.
DOCUMENT = {
    "resource": {
        "terraform_data": {
            "literal": {"input": "text", "triggers_replace": ["one", "two"]},
            "unset": {"input": None, "triggers_replace": None},
            "unknown": {"input": "${terraform_data.literal.id}", "triggers_replace": None},
        }
    }
}


def terraform(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "TF_IN_AUTOMATION": "1"}
    run = subprocess.run([ENGINE, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def planned_arguments(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each resource's values, without what the type computes."""
    resources = plan["planned_values"]["root_module"]["resources"]
    return {
        each["address"]: {name: value for name, value in each["values"].items() if name not in ("id", "output")}
        for each in resources
    }


def changes(plan: dict[str, Any]) -> dict[str, tuple[list[str], bool]]:
    """What happens to each resource, and whether its input is unknown."""
    return {
        each["address"]: (each["change"]["actions"], each["change"]["after_unknown"].get("input", False))
        for each in plan["resource_changes"]
    }


def references(plan: dict[str, Any]) -> dict[str, list[str]]:
    resources = plan["configuration"]["root_module"]["resources"]
    return {each["address"]: each["expressions"].get("input", {}).get("references", []) for each in resources}


def test_a_plan_has_terraforms_form(tmp_path: Path) -> None:
    (tmp_path / "main.tf.json").write_text(json.dumps(DOCUMENT))
    terraform(tmp_path, "init")
    terraform(tmp_path, "plan", "-out=plan")
    theirs = json.loads(terraform(tmp_path, "show", "-json", "plan"))
    ours = plan_of(DOCUMENT, shapes([DOCUMENT]))
    assert planned_arguments(ours) == planned_arguments(theirs)
    assert changes(ours) == changes(theirs)
    assert {name: named[:1] for name, named in references(ours).items()} == {
        name: named[:1] for name, named in references(theirs).items()
    }
