"""What the pages tell a caller of the module to paste can be applied as it stands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.module.clouds import copy_of_module, opened
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "https://github.com/OWNER/mlflow-google-cloud.git"
VERSION = "v0.1.0"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a repository with the module at a version is cloned from."""
    folder = tmp_path_factory.mktemp("published")
    copy_of_module(folder)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    commit = [*identity, "commit", "--quiet", "--message=all"]
    for command in (["init", "--quiet"], ["add", "."], commit, ["tag", VERSION]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder.as_uri()


@pytest.mark.parametrize("page", ["README.md", "module/README.md"])
def test_the_first_call_of_the_module_is_pasted_and_applied(
    tmp_path: Path, enabled: Path, published: str, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = re.findall(r"^```hcl\n(.*?)^```$", (CHECKOUT / page).read_text(), re.MULTILINE | re.DOTALL)[0]
    assert f"{ADDRESS}//module?ref={VERSION}" in block
    for name, value in {"COUNT": "1", "KEY_0": f"url.{published}.insteadOf", "VALUE_0": ADDRESS}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "main.tf").write_text(block)
    with opened(shutil.copytree(enabled, tmp_path / "cloud"), folder) as workspace:
        workspace.apply()
        assert workspace.plans_nothing()
        said = json.loads(workspace.terraform("output", "-json", "mlflow").stdout)
    assert said["redirect_uri"] == "https://mlflow-123456789012.europe-west1.run.app/oauth2/callback"


def test_the_call_on_the_front_page_has_twelve_lines() -> None:
    (block,) = re.findall(r"^```hcl\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) == 12
