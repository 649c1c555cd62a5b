"""The tables of docs/local-cloud.md follow from the code."""

from pathlib import Path

import pytest

from localcloud import services
from tools import local_cloud_page


def test_a_type_whose_module_does_not_say_what_it_leaves_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = services.RESOURCES[0]
    monkeypatch.setattr("sys.modules", {resource.__module__: local_cloud_page})
    monkeypatch.setattr(local_cloud_page, "RESOURCES", (resource,))
    with pytest.raises(ValueError, match=f"say `Left out: ...` in its first lines, for {resource.type}"):
        local_cloud_page.resource_table()


def test_a_sentence_ends_at_a_full_stop_that_is_followed_by_a_space(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    text = '"""Keeps objects.\n\nLeft out:\nobjects.delete, and more. Not this.\n"""\n'
    (tmp_path / "machine" / "part.py").write_text(text)
    (tmp_path / "machine" / "whole.py").write_text('"""Leaves nothing out."""\n')
    rows = local_cloud_page.part_table(tmp_path).splitlines()[2:]
    assert rows == ["| Keeps objects (`machine/part.py`) | objects.delete, and more |"]
