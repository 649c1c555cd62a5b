"""Callers hold on to addresses, variables and outputs: none goes without notice, and no file drifts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from stacks import addresses
from stacks.module import split
from tests.module.clouds import MODULE
from tests.stacks.documents import is_words, resources
from tools import module
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

MODULES = ("", module.IAP, module.SERVICE)
every_module = pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder or "root")


@cache
def documents() -> dict[str, dict[str, Any]]:
    return {
        str(path.relative_to(MODULE)): json.loads(path.read_text())
        for pattern in ("*.tf.json", "modules/*/*.tf.json")
        for path in sorted(MODULE.glob(pattern))
    }


def moved(found: dict[str, dict[str, Any]]) -> set[str]:
    """What `moved` blocks take along."""
    return {
        f"{path.rpartition('/')[0] or '.'} {block['from']}"
        for path, document in found.items()
        for block in document.get("moved", [])
    }


def test_what_is_generated_is_what_the_code_says() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "tools.module", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, f"\n{check.stdout}{check.stderr}"


def gone(released: Path) -> set[str]:
    """What a folder of releases' interfaces promises and the module has no more."""
    promised = {line for file in released.glob("*.txt") for line in file.read_text().splitlines()}
    return promised - set(module.interface(documents())) - moved(documents())


def test_nothing_that_was_released_is_gone() -> None:
    told = "add a `moved` block for an address; a variable or an output stays until the next major version"
    assert gone(CHECKOUT / module.INTERFACES) == set(), told


def test_what_is_gone_since_a_release_is_noticed(tmp_path: Path) -> None:
    lost = ["google_storage_bucket.of_old", "output.of_old", "variable.of_old"]
    (tmp_path / "0.1.0.txt").write_text("\n".join([*module.interface(documents()), *lost]))
    assert gone(tmp_path) == set(lost)


def test_a_rename_is_a_new_address_and_the_old_one_in_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = addresses.BUCKET, addresses.Address("google_storage_bucket.renamed")
    monkeypatch.setattr(addresses, "BUCKET", new)
    assert f". {old}" not in module.interface(module.documents())
    monkeypatch.setitem(addresses.MOVED, old, new)
    files = module.documents()
    assert files["moved.tf.json"]["moved"] == [{"from": old, "to": new}]
    assert f". {old}" in moved(files)
    assert "modules/service/moved.tf.json" not in files
    renamed = {part.file: part.text for part in module.renamed()}
    assert not [file for file, text in renamed.items() if re.search(rf"{re.escape(old)}\b", text)]
    assert f"to = module.mlflow.{new}" in renamed["module/examples/adopt/imports.tf"]


def test_what_the_module_has_no_file_for_is_an_error() -> None:
    with pytest.raises(ValueError, match="no file for data"):
        split({**documents()["main.tf.json"], "output": {}, "variable": {}, "data": {}})


def test_a_module_has_the_addresses_of_a_deployment() -> None:
    named = documents()["main.tf.json"]["resource"]
    assert {f"{kind}.{name}" for kind, those in named.items() for name in those} == set(resources("dev"))


@every_module
def test_a_module_leaves_provider_and_backend_to_its_caller(folder: str) -> None:
    mine = [document for path, document in documents().items() if path.rpartition("/")[0] == folder.rstrip("/")]
    assert not [document for document in mine if "provider" in document or "backend" in document.get("terraform", {})]
    assert '"//"' not in json.dumps(mine)  # the synthesizer's notes


@every_module
def test_addresses_are_words_without_hashes(folder: str) -> None:
    named = [name for those in documents()[f"{folder}main.tf.json"]["resource"].values() for name in those]
    assert [name for name in named if not is_words(name)] == []


@every_module
def test_everything_has_a_description_and_no_variable_takes_null(folder: str) -> None:
    for variable in documents()[f"{folder}variables.tf.json"]["variable"].values():
        assert variable["description"]
        assert variable["nullable"] is False
    assert all(one["description"] for one in documents()[f"{folder}outputs.tf.json"]["output"].values())


@every_module
def test_no_output_can_hold_a_secret(folder: str) -> None:
    text = json.dumps(documents()[f"{folder}outputs.tf.json"])
    assert not re.search(r"ephemeral\.|oauth_client_secret|secret_data|password", text)


@every_module
def test_every_resource_that_takes_a_project_names_one(folder: str) -> None:
    """The provider of whoever calls the module may have another project, or none."""
    inherits = {  # from the bucket, the secret or the account that it names in full
        "google_secret_manager_secret_iam_member",
        "google_secret_manager_secret_version",
        "google_service_account_iam_member",
        "google_storage_bucket_iam_member",
    }
    for kind, named in documents()[f"{folder}main.tf.json"]["resource"].items():
        takes_one = kind.startswith("google_") and kind not in inherits
        assert not takes_one or all("project" in body for body in named.values()), kind


def test_examples_and_tests_are_formatted_as_terraform_does() -> None:
    check = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", str(MODULE)], capture_output=True, text=True, check=False
    )
    assert check.stdout == ""
    assert check.returncode == 0, check.stderr
