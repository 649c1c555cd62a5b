"""Each room is held to its own share: a well-tested one does not make up for another."""

import subprocess
import sys
from pathlib import Path

import pytest
from coverage import Coverage

from tools.coverage import shares, verdict

CODE = "def sign(number):\n    if number < 0:\n        return -1\n    return 1\n\n\nsign({})\n"


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Coverage:
    """Two rooms of one file, of which each runs one branch of two."""
    monkeypatch.chdir(tmp_path)
    for room in ("one", "other"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "code.py").write_text(CODE.format(1))
    program = tmp_path / "program.py"
    program.write_text("import runpy\nrunpy.run_path('one/code.py')\nrunpy.run_path('other/code.py')\n")
    subprocess.run([sys.executable, "-m", "coverage", "run", "--branch", "--rcfile=", program.name], check=True)
    coverage = Coverage(config_file=False)
    coverage.load()
    return coverage


def test_a_room_has_its_own_share(measured: Coverage) -> None:
    found = shares(measured, {"one": 0, "other": 0})
    assert found == {"one": pytest.approx(100 * 5 / 7), "other": pytest.approx(100 * 5 / 7)}


def test_the_room_that_lacks_some_is_named() -> None:
    at_least = {"stacks": 95.0, "localcloud": 90.0}
    lines = verdict({"stacks": 94.9, "localcloud": 97.0}, at_least)
    assert lines == ["stacks        94.9 %  FAILED: 95.0 % is the least", "localcloud    97.0 %"]
