"""The CPU time of the parts of a local cloud."""

import os
from pathlib import Path

from containers.container import Container

TICKS = os.sysconf("SC_CLK_TCK")


def of(container: Container, name: str = "") -> list[int]:
    """Returns the ids of a container's processes, as this machine numbers them; of one program, or of all."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = container.id in (folder / "cgroup").read_text()
            if inside and name in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return found


def cpu_seconds(processes: list[int]) -> float:
    """Returns the CPU time that processes have used, with that of children that have ended.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in processes)
    return sum(sum(map(int, times[11:15])) for times in fields) / TICKS
