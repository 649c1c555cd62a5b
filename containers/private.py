"""Folders that are this user's alone, wherever they lie.

What lies in a folder for everybody, such as /tmp, may be somebody else's doing: a file that they made before, or a link
to one of ours. So nothing of the local cloud is read or written there but in folders that passed this check.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class NotPrivate(Exception):  # noqa: N818 - what is wrong
    """A folder is not this user's alone; the message says why and what to do."""


def private_folder(path: Path) -> Path:
    """Makes a folder that this user alone can enter (mode 0700), or closes one of theirs to others; returns it.

    Raises:
        NotPrivate: It is not theirs, or others may have put something into it.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotPrivate(f"{path} is no folder but a link or a file: remove it") from None
        if found.st_uid != os.getuid():
            raise NotPrivate(f"{path} belongs to another user (UID {found.st_uid}): choose another folder") from None
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise NotPrivate(
                f"other users may write in {path}: look what is in it, then run chmod 700 {path}"
            ) from None
        path.chmod(0o700)
    return path


def scratch_folder() -> Path:
    """Returns this user's own folder in the place for temporary files; the same for all their processes.

    Raises:
        NotPrivate: Somebody else has made it.
    """
    return private_folder(Path(tempfile.gettempdir()) / f"localcloud-{os.getuid()}")
