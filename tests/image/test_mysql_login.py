"""MySQL 8.4 is logged in to over the socket, though the server's cache is cold and clear text is refused there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.databases import PASSWORD, MySql

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = Path(__file__).parents[2] / "image"
IN_CLEAR = "mlflow sent a password in clear"
LOG_IN = """
import pymysql, sys
with pymysql.connect(unix_socket=sys.argv[1], user="mlflow", password=sys.argv[2], database="mlflow") as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DATABASE()")
        print(*cursor.fetchone())
"""
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


@pytest.fixture(scope="module", params=[False, True], ids=["clear text refused", "taken for secure"])
def server(request: pytest.FixtureRequest, scratch: Path) -> Iterator[MySql]:
    running = MySql(scratch / f"mysql-login-{request.param}", secure=request.param)
    yield running
    running.stop()


def log_in(driver: Path, server: MySql, program: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(server.socket), password],
        env=os.environ | {"PYTHONPATH": f"{driver}:{IMAGE}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("password", ["another", "", PASSWORD + "\0"])
def test_a_wrong_password_is_refused(driver: Path, server: MySql, password: str) -> None:
    done = log_in(driver, server, f"{INSTALL}\n{LOG_IN.replace('sys.argv[2]', repr(password))}")
    assert "Access denied for user 'mlflow'" in done.stderr
    assert IN_CLEAR not in server.log()


def test_the_password_is_sent_as_the_server_wants_it(driver: Path, server: MySql) -> None:
    for _ in range(2):
        done = log_in(driver, server, f"{INSTALL}\n{LOG_IN}")
        assert (done.returncode, done.stdout) == (0, "mlflow\n"), done.stderr
    assert IN_CLEAR not in server.log()


def test_the_driver_alone_sends_it_in_clear(driver: Path, server: MySql) -> None:
    done = log_in(driver, server, LOG_IN)
    assert ("Access denied for user 'mlflow'" not in done.stderr) == server.secure
    assert (IN_CLEAR not in server.log()) == server.secure
