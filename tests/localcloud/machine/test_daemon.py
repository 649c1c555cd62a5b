"""The process in the background, as its commands show it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.waiting import wait_for
from localcloud import daemon
from localcloud.machine.background import free_port
from localcloud.machine.identity import OAuthClient
from localcloud.machine.oauth_clients import OAuthClients
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


CLIENT = "1-x.apps.googleusercontent.com"


def localcloud(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cloud"
    daemon.stop(tmp_path / "cloud")


def test_status_tells_each_address_and_nothing_listens_beyond_loopback(home: Path, tmp_path: Path) -> None:
    daemon.start(home, tmp_path, ["--user=ada@example.com"])
    addresses = [line.split()[-1] for line in localcloud(home, "status").stdout.splitlines()]
    assert len(addresses) == 5, "front door, sign-in, storage, Google's interfaces, one metadata server"
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_second_start_finds_the_first(home: Path, tmp_path: Path) -> None:
    assert daemon.start(home, tmp_path, []) == daemon.start(home, tmp_path, [])


def test_a_taken_port_is_one_clear_line(home: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(daemon.NotUp) as refused:
            daemon.start(home, tmp_path, [f"--port={port}"])
    assert str(refused.value) == f"[localcloud] port {port} of 127.0.0.1 (front door) is taken by another program"


def test_one_that_cannot_start_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    storage = daemon.start(home, tmp_path, [])["ports"]["storage"]
    daemon.stop(home)
    with socket.socket() as other:
        other.bind(("127.0.0.1", storage))
        other.listen()
        with pytest.raises(daemon.NotUp, match=f"port {storage} of 127.0.0.1 .storage. is taken"):
            daemon.start(home, tmp_path, [])
    assert daemon.start(home, tmp_path, [])["ports"]["storage"] == storage


def test_one_that_is_still_starting_can_be_ended(home: Path) -> None:
    command = [sys.executable, "-m", "localcloud", "--home", str(home), "up"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
        wait_for((home / "up.json").exists, "the first word")
        daemon.stop(home)
        assert process.wait(timeout=60) in {0, -signal.SIGTERM}


def test_ports_and_keys_outlive_the_process(home: Path, tmp_path: Path) -> None:
    first = daemon.start(home, tmp_path, ["--user=ada@example.com"])
    keys = httpx.get(f"http://127.0.0.1:{first['ports']['sign-in']}/certs").json()
    os.kill(first["pid"], signal.SIGKILL)
    wait_for(lambda: daemon.facts(home) is None, "the end of the process")
    second = daemon.start(home, tmp_path, [f"--port={first['ports']['front door']}", "--user=ada@example.com"])
    assert second["ports"] == first["ports"]
    assert httpx.get(f"http://127.0.0.1:{second['ports']['sign-in']}/certs").json() == keys


def test_down_ends_the_process_and_reset_forgets_its_files(home: Path, tmp_path: Path) -> None:
    daemon.start(home, tmp_path, [f"--port={free_port()}"])
    assert localcloud(home, "down").returncode == 0
    assert daemon.facts(home) is None
    assert localcloud(home, "reset").returncode == 0
    assert {path.name for path in home.iterdir()} == {"lock", "start.lock"}


def test_an_oauth_client_keeps_its_secret_until_it_gets_another(home: Path) -> None:
    first, again, other = (
        localcloud(home, "oauth-client", CLIENT, *more).stdout
        for more in (["--redirect-uri=https://a.example/"], ["--redirect-uri=https://b.example/"], ["--new-secret"])
    )
    assert first == again != other
    store = Store(home)
    client = OAuthClients(store).get(CLIENT)
    store.close()
    assert client == OAuthClient(
        secret=other.strip(), redirect_uris=frozenset({"https://a.example/", "https://b.example/"})
    )
