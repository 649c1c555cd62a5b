"""MySQL 8.4 is logged in to over the socket, though the server's cache is cold and clear text is refused there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.image.mysql_handshake import Sha2Server

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = Path(__file__).parents[2] / "image"
PASSWORD = "letters-and-digits"  # noqa: S105 - it opens nothing
LOG_IN = "import pymysql, sys; pymysql.connect(unix_socket=sys.argv[1], user='mlflow', password=sys.argv[2])"
INSTALL = "from mlflow_cloudrun import mysql_login; mysql_login.install()"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's own PyMySQL."""
    folder = tmp_path_factory.mktemp("driver")
    pinned = re.search(r"^pymysql==[^\s;\\]+", (IMAGE / "requirements.txt").read_text(), re.MULTILINE | re.IGNORECASE)
    assert pinned
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([*install, "--target", str(folder), pinned[0]], check=True)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sha2Server]:
    running = Sha2Server(tmp_path / "instance", PASSWORD)
    yield running
    running.stop()


def log_in(driver: Path, socket: Path, program: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(socket), password],
        env=os.environ | {"PYTHONPATH": f"{driver}:{IMAGE}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_password_goes_encrypted(driver: Path, server: Sha2Server, tmp_path: Path) -> None:
    done = log_in(driver, tmp_path / "instance", f"{INSTALL}; {LOG_IN}")
    assert done.returncode == 0, done.stderr
    assert server.seen == ["encrypted"]


def test_a_wrong_password_is_still_refused(driver: Path, server: Sha2Server, tmp_path: Path) -> None:
    done = log_in(driver, tmp_path / "instance", f"{INSTALL}; {LOG_IN}", "another")
    assert "Access denied" in done.stderr
    assert server.seen == ["encrypted"]


def test_the_driver_alone_would_send_it_in_clear_and_be_refused(
    driver: Path, server: Sha2Server, tmp_path: Path
) -> None:
    done = log_in(driver, tmp_path / "instance", LOG_IN)
    assert "Access denied" in done.stderr
    assert server.seen == ["clear"]
