"""Where `terraform init` finds the real provider, it says the same: of the schema, of the document and of the plan.

It is found in a registry, or in a filesystem mirror that TF_CLI_CONFIG_FILE names
(https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation). Elsewhere these are skipped,
unless they were asked for by their mark (`make test-real-provider`): then they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from harness.workspace import OAUTH_CLIENT_SECRET, Workspace
from localcloud import google
from localcloud.services import RESOURCES
from tests.module.clouds import SECRETS, copy_of_module
from tests.stacks.documents import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.terraform.model import Block
    from tests.localcloud.conftest import Documents

pytestmark = pytest.mark.real_provider

BINDINGS = "6.50.0"
VERSIONS = [BINDINGS, "~> 8.0"]


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version of hashicorp/google that init finds."""
    folder = tmp_path_factory.mktemp("found")
    required = {"google": {"source": "hashicorp/google", "version": request.param}}
    (folder / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    init = subprocess.run(["terraform", "init"], cwd=folder, capture_output=True, text=True, check=False)
    if init.returncode:
        reason = f"terraform init finds no hashicorp/google {request.param}: no registry, and no mirror is named"
        asked_for = request.config.option.markexpr == "real_provider"
        (pytest.fail if asked_for else pytest.skip)(f"{reason}\n{init.stderr}" if asked_for else reason)
    return request.param


@pytest.mark.parametrize("version", [BINDINGS], indirect=True)
def test_our_schema_is_the_providers(version: str, tmp_path: Path) -> None:
    required = {"google": {"source": "hashicorp/google", "version": version}}
    (tmp_path / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    workspace = Workspace(tmp_path, tmp_path, dict(os.environ))
    workspace.init()
    printed = json.loads(workspace.terraform("providers", "schema", "-json").stdout)
    theirs = printed["provider_schemas"]["registry.terraform.io/hashicorp/google"]
    ours = google.BINDINGS.resource_schemas(resource.type for resource in RESOURCES)
    assert {name: _as_printed(block) for name, block in ours.items()} == {
        name: _comparable(theirs["resource_schemas"][name]["block"]) for name in ours
    }
    assert _as_printed(google.BINDINGS.provider_schema()) == _comparable(theirs["provider"]["block"])


@pytest.mark.parametrize("environment", NAMES)
def test_the_document_is_valid_and_plans_as_here(
    version: str, environment: str, documents: Documents, tmp_path: Path
) -> None:
    folder = tmp_path / "tracking"
    shutil.copytree(documents(environment) / "tracking", folder)
    variables = {
        "TF_VAR_oauth_client_secret": OAUTH_CLIENT_SECRET,
        "GOOGLE_OAUTH_ACCESS_TOKEN": "none-is-needed-to-plan",
    }
    workspace = Workspace(tmp_path, folder, os.environ | variables)
    document = workspace.document
    document["terraform"]["required_providers"]["google"]["version"] = version
    document["terraform"]["backend"] = {"local": {}}
    workspace.document = document
    workspace.init()
    workspace.terraform("validate")
    changes = workspace.plan()["resource_changes"]
    assert {tuple(change["change"]["actions"]) for change in changes} == {("create",)}
    declared = {f"{kind}.{name}" for kind, named in document["resource"].items() for name in named}
    assert {change["address"].partition("[")[0] for change in changes} <= declared


@pytest.mark.parametrize("example", ["complete", "existing-bucket-and-database", "minimal", "mysql", "teams"])
def test_an_example_of_the_module_is_valid_and_can_be_planned(version: str, example: str, tmp_path: Path) -> None:
    folder = copy_of_module(tmp_path) / "examples" / example
    required = {"google": {"source": "hashicorp/google", "version": version}}
    (folder / "pin.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    token = {"GOOGLE_OAUTH_ACCESS_TOKEN": "none-is-needed-to-plan"}
    workspace = Workspace(tmp_path, folder, os.environ | SECRETS | token)
    workspace.init()
    workspace.terraform("validate")
    changes = workspace.plan()["resource_changes"]
    assert {tuple(change["change"]["actions"]) for change in changes} == {("create",)}


def _as_printed(block: Block) -> dict[str, Any]:
    """A schema of ours in the form of `terraform providers schema -json`."""
    flags = ("required", "optional", "computed", "sensitive", "write_only")
    attributes = {
        name: {"type": attribute.type} | {flag: True for flag in flags if getattr(attribute, flag)}
        for name, attribute in block.attributes.items()
    }
    blocks = {
        name: {"nesting_mode": nested.nesting.value, "block": _as_printed(nested.block)}
        | {limit: getattr(nested, limit) for limit in ("min_items", "max_items") if getattr(nested, limit)}
        for name, nested in block.blocks.items()
    }
    return {"attributes": attributes, "block_types": blocks}


def _comparable(block: dict[str, Any]) -> dict[str, Any]:
    """The provider's schema without descriptions and deprecations."""
    dropped = {"description", "description_kind", "deprecated", "deprecation_message"}
    attributes = {
        name: {key: value for key, value in attribute.items() if key not in dropped}
        for name, attribute in block.get("attributes", {}).items()
    }
    blocks = {
        name: {key: value for key, value in nested.items() if key != "block"} | {"block": _comparable(nested["block"])}
        for name, nested in block.get("block_types", {}).items()
    }
    return {"attributes": attributes, "block_types": blocks}
