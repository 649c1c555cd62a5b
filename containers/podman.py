"""How podman runs on machines whose control groups are not version 2 alone, where crun and systemd's manager fail."""

import os
from pathlib import Path

_WITHOUT_SYSTEMD = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""


def configuration(folder: Path) -> dict[str, str]:
    """Writes what podman has to be told, if anything.

    Args:
        folder: A private folder, which other processes may use at the same time.

    Returns:
        Environment variables for podman.
    """
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return {}
    path = folder / "containers.conf"
    if not path.exists() or path.read_text() != _WITHOUT_SYSTEMD:
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(_WITHOUT_SYSTEMD)
        draft.replace(path)
    return {"CONTAINERS_CONF": str(path)}
