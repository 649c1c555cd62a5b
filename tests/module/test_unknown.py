"""What a caller does not know yet, or must not show, plans and applies: attributes of others, sensitive values."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.module.clouds import copy_of_module, opened
from tests.module.verdicts import arguments

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.workspace import Workspace

IMAGE = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
TRAINER = "user:trainer@example.com"
GRANT = 'module.mlflow.google_storage_bucket_iam_member.clients_write["trainer"]'
# Of each section, what is a choice in the document: a block that may be missing, a count, a map of grants.
CHOICES = {
    "access": {"artifact_writers": {"trainer": TRAINER}, "gcloud_tokens": True},
    "bucket": {"versioning": True, "force_destroy": True},
    "database": {"high_availability": True, "point_in_time_recovery": True, "deletion_protection": False},
}


def call(folder: Path, known: str) -> Path:
    """A root module that gives the choices as what `known` makes of them: `VALUE` stands for each."""
    copy_of_module(folder)
    given = arguments({"service.image": IMAGE})
    made: dict[str, object] = {}
    for section, choices in CHOICES.items():
        section_of_call = given[section]
        for name, choice in choices.items():
            key = f"{section}_{name}"
            made[key] = choice["trainer"] if isinstance(choice, dict) else choice
            expression = known.replace("VALUE", f"made_{key}")
            section_of_call[name] = {"trainer": expression} if isinstance(choice, dict) else expression
    document = {
        "terraform": {"required_providers": {"google": {"source": "hashicorp/google"}}},
        "provider": {"google": {"project": given["project_id"], "region": given["region"]}},
        "variable": {
            "oauth_client_secret": {"type": "string", "ephemeral": True},
            **{f"made_{key}": {"default": value, "sensitive": True} for key, value in made.items()},
        },
        "resource": {"terraform_data": {f"made_{key}": {"input": value} for key, value in made.items()}},
        "module": {"mlflow": {**given, "source": "./module", "oauth_client_secret": "${var.oauth_client_secret}"}},
    }
    (folder / "main.tf.json").write_text(json.dumps(document))
    return folder


def grants(workspace: Workspace) -> list[str]:
    return [address for address in workspace.addresses() if "iam_member.clients_write" in address]


@pytest.mark.parametrize(
    "known", ["${terraform_data.VALUE.output}", "${var.VALUE}"], ids=["known after apply", "sensitive"]
)
def test_writers_and_flags_plan_and_apply(tmp_path: Path, enabled: Path, known: str) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    (tmp_path / "root").mkdir()
    with opened(home, call(tmp_path / "root", known)) as workspace:
        workspace.apply()
        assert grants(workspace) == [GRANT]
        assert workspace.plans_nothing()


def test_the_invoker_check_may_be_switched_by_a_sensitive_value(tmp_path: Path, enabled: Path) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    (tmp_path / "root").mkdir()
    folder = call(tmp_path / "root", "${var.VALUE}")
    document = json.loads((folder / "main.tf.json").read_text())
    document["variable"]["disabled"] = {"default": True, "sensitive": True}
    document["module"]["mlflow"]["access"]["invoker_iam_disabled"] = "${var.disabled}"
    (folder / "main.tf.json").write_text(json.dumps(document))
    with opened(home, folder) as workspace:
        workspace.apply()
        assert not [address for address in workspace.addresses() if address.endswith("public[0]")]
        assert workspace.plans_nothing()
