"""What exists already is taken over, by `terraform import` and by import blocks, in the forms of id that are usual."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from harness.workspace import Workspace
    from tests.localcloud.conftest import Open

from harness.workspace import one_line
from stacks import addresses

RUNBOOK = CHECKOUT / "docs" / "runbook.md"
IDS = {
    addresses.BUCKET: ["acme-ml-dev-mlflow-artifacts", "acme-ml-dev/acme-ml-dev-mlflow-artifacts"],
    addresses.INSTANCE: [
        "mlflow-db",
        "acme-ml-dev/mlflow-db",
        "projects/acme-ml-dev/instances/mlflow-db",
    ],
    addresses.DATABASE: [
        "projects/acme-ml-dev/instances/mlflow-db/databases/mlflow",
        "acme-ml-dev/mlflow-db/mlflow",
        "mlflow-db/mlflow",
    ],
    addresses.ACCOUNT: [
        "projects/acme-ml-dev/serviceAccounts/mlflow-server@acme-ml-dev.iam.gserviceaccount.com",
    ],
    addresses.SERVICE: [
        "projects/acme-ml-dev/locations/europe-west1/services/mlflow",
        "europe-west1/mlflow",
    ],
}


def test_what_was_imported_needs_no_change(applied: Workspace) -> None:
    for address, ids in IDS.items():
        for import_id in ids:
            applied.terraform("state", "rm", address)
            applied.terraform("import", "-input=false", address, import_id)
    assert applied.plans_nothing()


def test_import_blocks_take_over_what_exists(applied: Workspace) -> None:
    applied.terraform("state", "rm", *IDS)
    document = applied.document
    document["import"] = [{"to": address, "id": ids[0]} for address, ids in IDS.items()]
    applied.document = document
    plan = applied.plan()
    imported = {change["address"] for change in plan["resource_changes"] if "importing" in change["change"]}
    assert imported == set(IDS)
    assert {tuple(change["change"]["actions"]) for change in plan["resource_changes"]} == {("no-op",)}


def test_the_runbook_adopts_what_a_lost_state_left(open_workspace: Open) -> None:
    prod = open_workspace("prod")
    prod.apply()
    prod.terraform("state", "rm", *prod.addresses())

    blocks = re.findall(r"^import \{\n  to = (\S+)\n  id = \S+\n\}\n", RUNBOOK.read_text(), re.MULTILINE)
    adopt = RUNBOOK.read_text().partition("<<'END'\n")[2].partition("END\n")[0]
    (prod.folder / "adopt.tf").write_text(adopt)
    plan = prod.plan()["resource_changes"]
    assert {change["address"] for change in plan if "importing" in change["change"]} == set(blocks)
    assert {action for change in plan for action in change["change"]["actions"]} <= {"no-op", "create", "update"}

    prod.apply()
    assert prod.plans_nothing()


def test_what_exists_is_not_created_again(applied: Workspace) -> None:
    applied.terraform("state", "rm", *IDS)
    message = applied.apply_fails()
    assert "Error 409: Your previous request to create the named bucket succeeded and you already own it." in message
    assert "Error, failed to create instance mlflow-db: googleapi: Error 409: The Cloud SQL instance already" in message
    assert "terraform import" in message


@pytest.mark.parametrize(
    ("import_id", "words"),
    [
        ("projects/acme-ml-dev/instances/other", "Cannot import non-existent"),
        ("a/b/c/d", "Forms: projects/{project}/instances/{name}, {project}/{name}, {name}"),
    ],
)
def test_an_id_of_nothing_is_refused(open_workspace: Open, import_id: str, words: str) -> None:
    workspace = open_workspace()
    result = workspace.terraform("import", addresses.INSTANCE, import_id, ok=False)
    assert words in one_line(result.stderr)
