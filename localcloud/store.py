"""The memory of the local cloud: one folder, changed atomically, readable only by its owner.

`cloud.db` (SQLite) holds the objects, `secrets/` the secret values, one file each. SQLite's journal makes every change
all-or-nothing, whatever dies when: https://www.sqlite.org/atomiccommit.html
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from containers.private import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.terraform.model import Object

_TABLES = """
CREATE TABLE IF NOT EXISTS object (
    type TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, answered INTEGER NOT NULL, PRIMARY KEY (type, key)
);
"""


class Store:
    """The objects of one local cloud, by resource type and key."""

    def __init__(self, home: Path) -> None:
        """Opens, or makes, the store in the folder `home`."""
        private_folder(home)
        self.home = home
        self.changes = 0
        """How often anything was written: what was read before is still true while it stays the same."""
        self._lock = threading.Lock()
        database = home / "cloud.db"
        database.touch(mode=0o600)
        self._database = sqlite3.connect(database, timeout=30, isolation_level=None, check_same_thread=False)
        self._database.executescript(f"PRAGMA journal_mode=WAL; {_TABLES}")

    def close(self) -> None:
        """Lets go of the folder."""
        self._database.close()

    def get(self, type_name: str, key: str) -> Object | None:
        """An object, or None."""
        rows = self._query("SELECT body FROM object WHERE type = ? AND key = ?", type_name, key)
        return json.loads(rows[0][0]) if rows else None

    def all(self, type_name: str) -> list[Object]:
        """Every object of a type, by key."""
        rows = self._query("SELECT body FROM object WHERE type = ? ORDER BY key", type_name)
        return [json.loads(body) for (body,) in rows]

    def put(self, type_name: str, key: str, body: Object) -> None:
        """Writes an object whose writer has not been answered yet."""
        self._query(
            "INSERT INTO object VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET body = excluded.body, answered = 0",
            type_name,
            key,
            json.dumps(body),
        )

    def merge(self, type_name: str, key: str, changes: Object) -> None:
        """Changes some attributes of an object, if it is there, whoever writes the others meanwhile.

        https://www.sqlite.org/json1.html#jpatch
        """
        self._query(
            "UPDATE object SET body = json_patch(body, ?) WHERE type = ? AND key = ?",
            json.dumps(changes),
            type_name,
            key,
        )

    def mark_answered(self, type_name: str, key: str) -> None:
        """Notes that Terraform is about to be told of an object."""
        self._query("UPDATE object SET answered = 1 WHERE type = ? AND key = ?", type_name, key)

    def is_answered(self, type_name: str, key: str) -> bool:
        """Whether an object exists whose writer was told so; False after a crash in between."""
        return bool(self._query("SELECT 1 FROM object WHERE type = ? AND key = ? AND answered", type_name, key))

    def unanswered(self, type_name: str) -> list[Object]:
        """The objects of a type whose writer was never told of them."""
        rows = self._query("SELECT body FROM object WHERE type = ? AND NOT answered ORDER BY key", type_name)
        return [json.loads(body) for (body,) in rows]

    def remove(self, type_name: str, key: str) -> None:
        """Forgets an object, if it is there."""
        self._query("DELETE FROM object WHERE type = ? AND key = ?", type_name, key)

    def listing(self) -> Iterator[tuple[str, str]]:
        """Type and key of everything there is, sorted."""
        yield from self._query("SELECT type, key FROM object ORDER BY type, key")

    def put_secret(self, name: str, value: str) -> None:
        """Writes a secret value to its file (mode 0600), all or nothing."""
        path = self.secret_path(name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_suffix(f".{threading.get_ident()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def secret(self, name: str) -> str | None:
        """A secret value, or None."""
        path = self.secret_path(name)
        return path.read_text() if path.exists() else None

    def remove_secret(self, name: str) -> None:
        """Forgets a secret value, if it is there."""
        self.secret_path(name).unlink(missing_ok=True)

    def secret_path(self, name: str) -> Path:
        """Where a secret value is kept; names have slashes and colons, so the file is called by their digest."""
        return self.home / "secrets" / hashlib.sha256(name.encode()).hexdigest()

    def _query(self, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
        self.changes += not statement.startswith("SELECT")
        with self._lock, closing(self._database.execute(statement, parameters)) as cursor:
            return cursor.fetchall()


def erase(home: Path) -> None:
    """Forgets a local cloud: removes what this module, and a run with it, put into its folder."""
    database = ("cloud.db", "cloud.db-wal", "cloud.db-shm")
    for name in (*database, "log", "up.json", "up.log", "identity.pem", "iap-key.json", "engine"):
        (home / name).unlink(missing_ok=True)
    for name in ("secrets", "states", "objects", "versions", "mounts", "tasks", "logs", "tls"):
        shutil.rmtree(home / name, ignore_errors=True)
