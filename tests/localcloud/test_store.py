"""What the local cloud remembers survives a restart and a crash."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Writes the same object and the same secret for ever, each time another value.
WRITER = """
import itertools, sys
from pathlib import Path
from localcloud.store import Store
store = Store(Path(sys.argv[1]))
for number in itertools.count():
    store.put_secret("same", f"{number:08}" * 1000)
    store.put("type", "same", {"number": [number] * 1000})
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def test_objects_survive_a_restart(tmp_path: Path, store: Store) -> None:
    store.put("bucket", "a", {"name": "a", "tags": [1, None, True]})
    store.close()
    again = Store(tmp_path)
    assert again.get("bucket", "a") == {"name": "a", "tags": [1, None, True]}
    again.close()


def test_a_writer_that_was_killed_left_all_or_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        finished = [int(writer.stdout.readline()) for _ in range(20)][-1]
        writer.send_signal(signal.SIGKILL)
    store = Store(tmp_path)
    numbers = (store.get("type", "same") or {})["number"]
    assert isinstance(numbers, list)
    assert numbers == [numbers[0]] * 1000
    assert int(str(numbers[0])) >= finished
    secret = store.secret("same") or ""
    assert secret == secret[:8] * 1000
    store.close()


def test_an_object_is_unanswered_until_its_writer_was_told(store: Store) -> None:
    store.put("bucket", "a", {})
    assert not store.is_answered("bucket", "a")
    assert store.unanswered("bucket") == [{}]
    store.mark_answered("bucket", "a")
    assert store.is_answered("bucket", "a")
    assert store.unanswered("bucket") == []


def test_a_secret_is_in_its_file_alone(tmp_path: Path, store: Store) -> None:
    name = "projects/p/secrets/s/versions/1"
    store.put_secret(name, "hush")
    assert store.secret(name) == "hush"
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    assert holding == [store.secret_path(name)]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    store.remove_secret(name)
    assert store.secret(name) is None
