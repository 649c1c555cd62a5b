"""What another user of this machine has put into a shared folder is not trusted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from containers import images
from containers.engine import Engine, EngineError
from containers.private import NotPrivate, private_folder, scratch_folder
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOMEBODY_ELSE = 65_534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for everybody's temporary files, such as /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_this_users_alone(tmp_path: Path) -> None:
    assert mode(private_folder(tmp_path / "a" / "b")) == 0o700


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    assert mode(private_folder(tmp_path / "a")) == 0o700


def by_somebody_else(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE)


def a_link(path: Path) -> None:
    (path.parent / "target").mkdir(mode=0o700)
    path.symlink_to(path.parent / "target")


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def a_file(path: Path) -> None:
    path.touch()


PLANTED = [
    pytest.param(by_somebody_else, "belongs to another user", marks=needs_root),
    pytest.param(a_link, "is no folder but a link", id="link"),
    pytest.param(open_to_all, "other users may write in", id="writable"),
    pytest.param(a_file, "is no folder but a link or a file", id="file"),
]


@pytest.mark.parametrize(("plant", "reason"), PLANTED)
def test_what_was_planted_is_refused_and_not_followed(shared: Path, plant: Callable[[Path], None], reason: str) -> None:
    plant(shared / f"localcloud-{os.getuid()}")
    with pytest.raises(NotPrivate, match=reason):
        scratch_folder()
    with pytest.raises(EngineError, match=reason):
        Engine()
    with pytest.raises(NotPrivate, match=reason), images.one_at_a_time():
        pass
    assert not list(shared.glob("target/*"))


@pytest.mark.parametrize(("plant", "reason"), PLANTED)
def test_a_home_that_was_planted_is_refused(tmp_path: Path, plant: Callable[[Path], None], reason: str) -> None:
    plant(tmp_path / "home")
    with pytest.raises(NotPrivate, match=reason):
        Store(tmp_path / "home")


@pytest.mark.parametrize("command", ["status", "logs", "reset", "down", "up", "exec -- true", "serve"])
def test_every_command_says_in_one_line_why_it_stops(tmp_path: Path, command: str) -> None:
    open_to_all(tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", "--home", str(tmp_path / "home"), *command.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith(f"[localcloud] other users may write in {tmp_path / 'home'}")
    assert done.stderr.count("\n") == 1


def test_nothing_lies_in_the_shared_folder_itself(shared: Path) -> None:
    Engine()
    with images.one_at_a_time():
        pass
    assert [path.name for path in shared.iterdir()] == [f"localcloud-{os.getuid()}"]
