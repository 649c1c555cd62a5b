"""Every example can be applied as it stands and changed; a second plan is empty, and a destroy leaves nothing."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from harness.workspace import one_line
from localcloud.store import Store
from stacks import addresses
from tests.localcloud.changes import actions
from tests.module.clouds import MODULE, copy_of_module, opened, prepare
from tools.module_pages import EXAMPLES as COUNTED

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = sorted(folder.name for folder in (MODULE / "examples").iterdir())
ADOPT = "adopt"
NETWORK = MODULE / "examples" / "private-network" / "network"
FIRST = {"existing-bucket-and-database": "existing", ADOPT: "handmade", "private-network": NETWORK}
"""What an example finds there already."""

LEFT = {
    "existing-bucket-and-database": {
        ("google_sql_database", "projects/acme-ml-dev/instances/shared/databases/mlflow_research"),
        ("google_sql_user", "acme-ml-dev:mlflow_research//shared"),
    }
}
"""What a destroy leaves: an abandoned database and its user stay with their instance."""

UNPROTECTED = {"complete": ("-var=deletion_protection=false",)}


def _there(home: Path) -> set[tuple[str, str]]:
    store = Store(home)
    there = {(kind, key) for kind, key in store.listing() if kind.startswith("google_")}
    store.close()
    return there


def _change(main: Path) -> None:
    """Gives everything that takes labels another one, by each call of a module."""
    text = re.sub(r"\n  labels( *)= \{", r'\n  labels\1= { changed = "yes",', main.read_text())
    if "changed" not in text:
        text = re.sub(r'(\n  source = "\.\./\.\.[^"]*")', r'\1\n  labels = { changed = "yes" }', text)
    main.write_text(text)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example != ADOPT])
def test_an_example_is_applied_changed_and_destroyed(tmp_path: Path, enabled: Path, example: str) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    if example in FIRST:
        prepare(home, tmp_path, FIRST[example])
    before = _there(home)
    with opened(home, copy_of_module(tmp_path) / "examples" / example) as workspace:
        workspace.apply()
        assert workspace.plans_nothing()
        assert len(workspace.addresses()) == COUNTED[example][1], "the count in tools/module_pages.py"
        _change(workspace.folder / "main.tf")
        assert set(actions(workspace.plan()).values()) == {"update"}
        workspace.terraform("apply", "-input=false", "plan.bin")
        assert workspace.plans_nothing()
        if example in UNPROTECTED:
            workspace.apply(*UNPROTECTED[example])
        workspace.terraform("destroy", "-auto-approve", "-input=false", *UNPROTECTED.get(example, ()))
        assert workspace.addresses() == []
    assert _there(home) == before | LEFT.get(example, set())


def test_another_domain_has_its_certificate_before_the_old_one_goes(tmp_path: Path, enabled: Path) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    changed = ("-var=domain=models.example.com", "-var=requests_per_minute=600")
    with opened(home, copy_of_module(tmp_path) / "examples" / "domain") as workspace:
        workspace.apply()
        told = actions(workspace.plan(*changed))
        assert {address.removeprefix("module.mlflow."): action for address, action in told.items()} == {
            "google_compute_managed_ssl_certificate.mlflow": "create then delete",
            "google_compute_security_policy.mlflow": "update",
            "google_compute_target_https_proxy.mlflow": "update",
            addresses.SERVICE: "update",
        }
        workspace.apply(*changed)
        assert workspace.plans_nothing(*changed)


def test_the_service_alone_tells_of_grants_that_are_too_young_and_a_later_apply_heals(
    tmp_path: Path, enabled: Path
) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    prepare(home, tmp_path, FIRST["existing-bucket-and-database"])
    example = copy_of_module(tmp_path) / "examples" / "existing-bucket-and-database"
    with opened(home, example, "--delays", "grant=600") as workspace:
        message = workspace.apply_fails()
    page = one_line((MODULE / "modules/service/README.md").read_text())
    for words in ("Permission denied on secret", "apply again"):
        assert words in message
        assert words in page
    with opened(home, example) as workspace:  # minutes later
        workspace.apply()
        assert workspace.plans_nothing()


def test_the_page_shows_every_example() -> None:
    assert sorted(COUNTED) == EXAMPLES


def test_two_trackers_share_nothing(tmp_path: Path, enabled: Path) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    with opened(home, copy_of_module(tmp_path) / "examples" / "two-trackers") as workspace:
        changes = workspace.plan()["resource_changes"]
        names = [
            (change["type"], change["change"]["after"][name])
            for change in changes
            for name in ("name", "account_id", "secret_id")
            if isinstance(change["change"]["after"].get(name), str) and "instance" not in change["change"]["after"]
        ]
        assert len(names) == len(set(names)) >= 10


def test_what_was_made_by_hand_is_adopted_and_nothing_is_destroyed(tmp_path: Path, enabled: Path) -> None:
    home = shutil.copytree(enabled, tmp_path / "cloud")
    prepare(home, tmp_path, FIRST[ADOPT])
    before = _there(home)
    with opened(home, copy_of_module(tmp_path) / "examples" / ADOPT) as workspace:
        changes = workspace.plan()["resource_changes"]
        actions = {change["address"].removeprefix("module.mlflow."): change["change"]["actions"] for change in changes}
        assert not [address for address, action in actions.items() if "delete" in action]
        imported = {
            change["address"].removeprefix("module.mlflow.") for change in changes if "importing" in change["change"]
        }
        assert imported == {
            addresses.SERVICE,
            addresses.ACCOUNT,
            addresses.DATABASE,
            addresses.INSTANCE,
            addresses.DATABASE_USER,
            addresses.BUCKET,
        }
        assert {address for address, action in actions.items() if action == ["create"]} == actions.keys() - imported
        workspace.apply()
        assert workspace.plans_nothing()
        assert len(workspace.addresses()) == COUNTED[ADOPT][1], "the count in tools/module_pages.py"
        # Terraform's state holds no password, and the service no longer shows one.
        assert "typed-into-the-console" not in json.dumps(workspace.state())
    assert before <= _there(home)
