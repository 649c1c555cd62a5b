"""What the stacks write, in every test environment, keeps checkov's policies and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stacks.documents import NAMES, STACKS, text
from tools.scan import scan

if TYPE_CHECKING:
    from pathlib import Path


def test_every_document_keeps_the_policies(tmp_path: Path) -> None:
    documents = {f"{environment}/{stack}.tf.json": (environment, stack) for environment in NAMES for stack in STACKS}
    for name, (environment, stack) in documents.items():
        (tmp_path / environment).mkdir(exist_ok=True)
        (tmp_path / name).write_text(text(environment, stack))
    result = scan(tmp_path)
    assert [str(finding) for finding in result.failed] == []
    assert {finding.file for finding in result.passed} == set(documents)
