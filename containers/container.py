"""A container, as it is asked for and as it runs: what the engine's adapter makes, and what can be done with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from containers.loopback import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MIB = 1024 * 1024


class Command(NamedTuple):
    """How the engine's command is run, by somebody who does not want to wait for its end.

    Attributes:
        arguments: The command itself, and its arguments.
        environment: Its environment.
        folder: Where it runs.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: Path


class EngineError(Exception):
    """The engine refused; the message is its own, after the command."""


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container to run, and its share of the machine.

    Attributes:
        image: Reference of a local image.
        command: Arguments for the image's entry point.
        entrypoint: Replaces the image's entry point.
        environment: Variables; they may hold secrets.
        mounts: Folder or file on the machine (a path), or a volume (its name) -> path in the container.
        writable: Those of the mounted paths that the container may write.
        tmpfs: Path in the container -> size in MiB.
        ports: Ports of the container to publish on free ports of this machine.
        published_at: The address of loopback where they are published.
        memory_mib: Limit; more is a kill (exit 137).
        cpus: Limit.
        read_only: The root file system cannot be written.
        user: UID to run as, when it is not the image's.
        isolated: No network at all.
        capabilities: Those of Linux that its root has beyond the usual ones.
        helpers: Containers that start after it, in its network, and end with it.
        labels: Names and values by which containers are found again.
    """

    image: str
    command: Sequence[str] = ()
    entrypoint: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    mounts: Mapping[Path | str, str] = field(default_factory=dict[Path | str, str])
    writable: frozenset[str] = frozenset()
    tmpfs: Mapping[str, int] = field(default_factory=dict[str, int])
    ports: Sequence[int] = ()
    published_at: str = LOOPBACK
    memory_mib: int | None = None
    cpus: float | None = None
    read_only: bool = False
    user: str = ""
    isolated: bool = False
    capabilities: Sequence[str] = ()
    helpers: Sequence[ContainerSpec] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def arguments(self) -> list[str]:
        """Returns the arguments that podman and docker understand alike."""
        arguments = [f"--env={name}" for name in self.environment]
        arguments += [f"--label={name}={value}" for name, value in self.labels.items()]
        for source, target in self.mounts.items():
            # Not --volume: it parts at colons, and a path under /cloudsql has some.
            kind = "volume" if isinstance(source, str) else "bind"
            access = "" if target in self.writable else ",ro=true"
            arguments.append(f"--mount=type={kind},src={source},dst={target}{access}")
        arguments += [f"--tmpfs={path}:rw,size={mib}m,mode=1777" for path, mib in self.tmpfs.items()]
        arguments += [f"--publish={self.published_at}::{port}" for port in self.ports]
        arguments += [f"--cap-add={name}" for name in self.capabilities]
        optional = {"memory": self.memory_mib and f"{self.memory_mib}m", "cpus": self.cpus, "user": self.user}
        optional |= {"memory-swap": optional["memory"], "entrypoint": self.entrypoint}
        arguments += [f"--{option}={value}" for option, value in optional.items() if value]
        if self.read_only:
            arguments.append("--read-only")
        return arguments


class Container:
    """One container, made by `Engine.start`.

    Args:
        run: Runs the engine's command, as `Engine.run`.
        id_: The container's id.
    """

    def __init__(self, run: Callable[..., str], id_: str) -> None:
        self._run = run
        self.id = id_

    def state(self) -> dict[str, object]:
        """Returns the engine's `State` of the container."""
        return json.loads(self._run("inspect", "--format={{json .State}}", self.id))

    @property
    def running(self) -> bool:
        """Whether its first process lives, if only standing still; a container that was removed has none."""
        try:
            state = self.state()
        except EngineError:
            return False
        return bool(state["Running"] or state["Paused"])

    @cached_property
    def pid(self) -> int:
        """Process id, on this machine, of its first process; asked for once, because a sample must not take long."""
        return int(str(self.state()["Pid"]))

    @property
    def address(self) -> str:
        """Its address on docker's bridge; "" if it has none."""
        return self._run("inspect", "--format={{.NetworkSettings.Networks.bridge.IPAddress}}", self.id).strip()

    def published(self, port: int) -> str:
        """Returns where a published port is reached on this machine, `ADDRESS:PORT`.

        Raises:
            EngineError: It is not published, or the container has ended or stands still.
        """
        told = self._run("port", self.id, f"{port}/tcp")
        if not told:
            raise EngineError(f"container {self.id[:12]} has no port {port}")
        return told.splitlines()[0]

    def port(self, port: int) -> int:
        """Returns only the port of it; the address is that of its specification.

        Raises:
            EngineError: As in `published`.
        """
        return int(self.published(port).rpartition(":")[2])

    def logs(self) -> str:
        """Returns what it printed so far, both streams."""
        return self._run("logs", self.id, merge_streams=True)

    def wait(self, timeout_s: float) -> int:
        """Waits for the end and returns the exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        return int(self._run("wait", self.id, timeout_s=timeout_s))

    def signal(self, name: str) -> None:
        """Sends a signal to its first process."""
        self._run("kill", f"--signal={name}", self.id)

    def execute(self, *command: str, user: str = "", stdin: str = "") -> str:
        """Runs a command inside and returns what it prints."""
        options = [*([f"--user={user}"] if user else []), *(["--interactive"] if stdin else [])]
        return self._run("exec", *options, self.id, *command, stdin=stdin)

    def labels(self) -> dict[str, str]:
        """Returns its labels, those of its image among them."""
        return json.loads(self._run("inspect", "--format={{json .Config.Labels}}", self.id))

    def memory_mib(self) -> float:
        """Returns the working set in MiB: what the limit counts, less the page cache that can be dropped."""
        cgroup = control_group(self.pid, "memory")
        name = "memory.current" if (cgroup / "memory.current").exists() else "memory.usage_in_bytes"
        return (int((cgroup / name).read_text()) - memory_statistic(cgroup, "inactive_file")) / MIB

    def major_faults(self) -> int:
        """Returns how often its processes waited for the disk to give back a page that they use, such as their code."""
        return memory_statistic(control_group(self.pid, "memory"), "pgmajfault")

    def memory_kills(self) -> int:
        """Returns how many of its processes the kernel killed at the memory limit; Cloud Run would end the instance."""
        return memory_kills(control_group(self.pid, "memory"))

    def pause(self) -> None:
        """Stops its processes where they stand."""
        self._run("pause", self.id)

    def unpause(self) -> None:
        """Lets its processes go on."""
        self._run("unpause", self.id)

    def cpu_seconds(self) -> float:
        """Returns the CPU time that its processes took so far, those that ended included."""
        return cpu_seconds(control_group(self.pid, "cpuacct"))

    def stop(self, grace_s: int = 10) -> None:
        """Sends TERM, and KILL after the grace period, as Cloud Run does."""
        self._run("stop", "-t", str(grace_s), self.id)  # the one name of the option in every version of both

    def remove(self) -> None:
        """Kills and removes it, with its anonymous volumes."""
        self._run("rm", "--force", "--volumes", self.id)


def control_group(pid: int, controller: str) -> Path:
    """Returns the folder of a process's control group: version 1 has one for each controller, version 2 has one."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}")
    return Path(f"/sys/fs/cgroup{path}")  # pyright: ignore[reportPossiblyUnboundVariable]  version 2 has one line


def cpu_seconds(cgroup: Path) -> float:
    """Returns the CPU time that the processes of a control group took so far, those that ended included."""
    if (cgroup / "cpu.stat").exists() and not (cgroup / "cpuacct.usage").exists():
        stat = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6
    return int((cgroup / "cpuacct.usage").read_text()) / 1e9


def memory_kills(cgroup: Path) -> int:
    """Returns how many processes of a control group the kernel killed at its memory limit."""
    path = cgroup / "memory.events"
    counts = (path if path.exists() else cgroup / "memory.oom_control").read_text()
    return int(dict(line.split() for line in counts.splitlines())["oom_kill"])


def memory_statistic(cgroup: Path, name: str) -> int:
    """Returns a line of memory.stat, with what is below the group: version 1 counts that under a name of its own."""
    stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return int(stat.get(f"total_{name}", stat[name]))
