"""`make demo` twice: in one checkout they share the work, in two checkouts they cannot share a port."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localcloud.machine.background import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).parents[2]
GENERATED = (".git", ".localcloud", "cdktf.out", ".terraform*", "__pycache__", ".*_cache", ".hypothesis", "docs")
LIMIT_S = 400


class Checkout:
    """A copy of this project, with what is installed in it shared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            CHECKOUT,
            folder,
            symlinks=True,
            ignore=shutil.ignore_patterns(*GENERATED, ".venv", ".pipenv", "node_modules"),
        )
        for name in (".venv", "node_modules"):
            (folder / name).symlink_to((CHECKOUT / name).resolve())

    def demo(self, port: int) -> subprocess.Popen[str]:
        environment = os.environ | {"MLFLOW_GCP__SERVICE__PUBLIC_URL": f"http://localhost:{port}"}
        return subprocess.Popen(
            [sys.executable, "-m", "tools.demo"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def reset(self) -> None:
        command = [sys.executable, "-m", "localcloud", "--home", str(self.folder / ".localcloud"), "reset"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)


@pytest.fixture
def checkouts(tmp_path: Path) -> Iterator[tuple[Checkout, Checkout]]:
    pair = (Checkout(tmp_path / "one"), Checkout(tmp_path / "two"))
    try:
        yield pair
    finally:
        for checkout in pair:
            checkout.reset()


def test_two_at_once(checkouts: tuple[Checkout, Checkout]) -> None:
    one, two = checkouts
    port = free_port()
    both = [one.demo(port), one.demo(port)]
    told = [demo.communicate(timeout=LIMIT_S)[0] for demo in both]
    assert [demo.returncode for demo in both] == [0, 0], told
    assert all(f"Browser   http://localhost:{port}" in text for text in told)
    assert sum("waiting for it to end" in text for text in told) == 1

    refused = two.demo(port)
    text = refused.communicate(timeout=LIMIT_S)[0]
    assert refused.returncode == 1
    (line,) = (line for line in text.splitlines() if "stopped:" in line)
    assert f"port {port} of 127.0.0.1 (front door) is taken by another program" in line
    assert "MLFLOW_GCP__SERVICE__PUBLIC_URL=" in text
