"""Whoever deployed a release gets today's module by an apply that loses nothing."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from stacks.addresses import BUCKET, DATABASE, INSTANCE, Address
from tests.localcloud.changes import actions
from tests.module.clouds import MODULE, opened
from tools.docs import CHECKOUT
from tools.module import RELEASED

if TYPE_CHECKING:
    from pathlib import Path

    from harness.workspace import Workspace

RELEASES = sorted((CHECKOUT / RELEASED).glob("*.tar.xz"))
HOLD_DATA = {f"module.mlflow.{address}" for address in (INSTANCE, DATABASE, BUCKET)}


def _rename(text: str, old: Address, new: Address) -> str:
    document = json.loads(re.sub(rf"\b{re.escape(old)}\b", new, text))
    named = document.get("resource", {}).get(old.type, {})
    if old.logical_id in named:
        named[new.logical_id] = named.pop(old.logical_id)
    return json.dumps(document, indent=2)


def _loses(workspace: Workspace) -> set[str]:
    told = actions(workspace.plan())
    return {address for address in HOLD_DATA if "delete" in told.get(address, "")}


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_an_upgrade_keeps_what_holds_data(tmp_path: Path, enabled: Path, release: Path) -> None:
    home, module = shutil.copytree(enabled, tmp_path / "cloud"), tmp_path / "module"
    with tarfile.open(release) as archive:
        archive.extractall(module, filter="data")
    today = {file.name: file.read_text() for file in MODULE.glob("*.tf.json")}
    with opened(home, shutil.copytree(MODULE / "examples" / "minimal", module / "examples" / "minimal")) as workspace:
        workspace.apply()
        assert set(workspace.addresses()) >= HOLD_DATA

        for name, text in today.items():
            (module / name).write_text(_rename(text, BUCKET, Address("google_storage_bucket.renamed")))
        assert _loses(workspace) == {f"module.mlflow.{BUCKET}"}, "a new name without a `moved` block is noticed"

        for name, text in today.items():
            (module / name).write_text(text)
        assert _loses(workspace) == set()
        workspace.apply()
        assert workspace.plans_nothing()


def test_there_is_a_release_to_upgrade_from() -> None:
    assert RELEASES
