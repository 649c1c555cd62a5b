"""The tests that callers get pass with `terraform test`, and can fail."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.workspace import Workspace, one_line
from localcloud.session import session
from tests.module.clouds import copy_of_module

if TYPE_CHECKING:
    from pathlib import Path


def _test(work: Path, home: Path) -> str:
    folder = work / "module"
    with session(home, folder) as variables:
        workspace = Workspace(home, folder, variables)
        workspace.init()
        result = workspace.terraform("test", "-no-color", ok=False)
    return one_line(result.stdout + result.stderr)


def test_they_pass(tmp_path: Path) -> None:
    copy_of_module(tmp_path)
    said = _test(tmp_path, tmp_path / "cloud")
    assert "Success! 6 passed, 0 failed." in said, said


def test_a_module_that_lets_everybody_in_fails_them(tmp_path: Path) -> None:
    variables = copy_of_module(tmp_path) / "variables.tf.json"
    broken = variables.read_text().replace("(gmail|googlemail|", "(googlemail|")
    assert broken != variables.read_text()
    variables.write_text(broken)
    said = _test(tmp_path, tmp_path / "cloud")
    assert 'run "a_public_mail_domain_is_refused"... fail' in said
    shutil.rmtree(tmp_path / "cloud")
