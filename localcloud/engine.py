"""Containers through podman or docker, whichever is there: the one place that knows their command lines.

A container has a network of its own, and its ports are published on 127.0.0.1 alone. Under the name `HOST` it reaches
what listens on this machine's loopback with podman (slirp4netns,
https://docs.podman.io/en/v4.3/markdown/podman-run.1.html), and on its bridge with docker (`Engine.bridge`). Secrets go
through the environment of the command, never through its arguments.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

CHOICE = "LOCALCLOUD_ENGINE"
ENGINES = ("podman", "docker")
HOST = "host.internal"
SLIRP_HOST = "10.0.2.2"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_CERT = "/opt/machine.crt"
MIB = 1024 * 1024


class EngineError(Exception):
    """The engine refused; the message is its own, after the command."""


class Bridge(NamedTuple):
    """Where docker's containers reach this machine.

    Attributes:
        interface: The network interface.
        address: This machine's address on it.
    """

    interface: str
    address: str


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """What to run, and how much of the machine it gets.

    Attributes:
        image: Reference of a local image.
        command: Arguments for the image's entry point.
        entrypoint: Replaces the image's entry point.
        environment: Variables; they may hold secrets.
        mounts: Folder or file on the machine (a path), or a volume (its name) -> path in the container.
        writable: Those of the mounted paths that the container may write.
        tmpfs: Path in the container -> size in MiB.
        ports: Ports of the container to publish on free ports of 127.0.0.1.
        memory_mib: Limit; more is a kill (exit 137).
        cpus: Limit.
        read_only: The root file system cannot be written.
        user: UID to run as, when it is not the image's.
        isolated: No network at all.
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
    memory_mib: int | None = None
    cpus: float | None = None
    read_only: bool = False
    user: str = ""
    isolated: bool = False
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
        arguments += [f"--publish=127.0.0.1::{port}" for port in self.ports]
        optional = {"memory": self.memory_mib and f"{self.memory_mib}m", "cpus": self.cpus, "user": self.user}
        optional |= {"memory-swap": optional["memory"], "entrypoint": self.entrypoint}
        arguments += [f"--{option}={value}" for option, value in optional.items() if value]
        if self.read_only:
            arguments.append("--read-only")
        return arguments


class Container:
    """One container, made by `Engine.start`."""

    def __init__(self, engine: "Engine", id_: str) -> None:
        self._engine = engine
        self.id = id_

    def state(self) -> dict[str, object]:
        """Returns the engine's `State` of the container."""
        return json.loads(self._engine.run("inspect", "--format={{json .State}}", self.id))

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return bool(self.state()["Running"])

    @property
    def pid(self) -> int:
        """Process id, on this machine, of its first process."""
        return int(str(self.state()["Pid"]))

    def port(self, port: int) -> int:
        """Returns the port of 127.0.0.1 at which a published port is reached."""
        return int(self._engine.run("port", self.id, f"{port}/tcp").splitlines()[0].rpartition(":")[2])

    def logs(self) -> str:
        """Returns what it printed so far, both streams."""
        return self._engine.run("logs", self.id, merge_streams=True)

    def wait(self, timeout_s: float) -> int:
        """Waits for the end and returns the exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        return int(self._engine.run("wait", self.id, timeout_s=timeout_s))

    def signal(self, name: str) -> None:
        """Sends a signal to its first process."""
        self._engine.run("kill", f"--signal={name}", self.id)

    def execute(self, *command: str, user: str = "", stdin: str = "") -> str:
        """Runs a command inside and returns what it prints."""
        options = [*([f"--user={user}"] if user else []), *(["--interactive"] if stdin else [])]
        return self._engine.run("exec", *options, self.id, *command, stdin=stdin)

    def labels(self) -> dict[str, str]:
        """Returns its labels, those of its image among them."""
        return json.loads(self._engine.run("inspect", "--format={{json .Config.Labels}}", self.id))

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
        cgroup = control_group(self.pid, "memory")
        path = cgroup / "memory.events"
        counts = (path if path.exists() else cgroup / "memory.oom_control").read_text()
        return int(dict(line.split() for line in counts.splitlines())["oom_kill"])

    def pause(self) -> None:
        """Stops its processes where they stand."""
        self._engine.run("pause", self.id)

    def unpause(self) -> None:
        """Lets its processes go on."""
        self._engine.run("unpause", self.id)

    def cpu_seconds(self) -> float:
        """Returns the CPU time that its processes took so far, those that ended included."""
        cgroup = control_group(self.pid, "cpuacct")
        if (cgroup / "cpu.stat").exists() and not (cgroup / "cpuacct.usage").exists():
            stat = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
            return int(stat["usage_usec"]) / 1e6
        return int((cgroup / "cpuacct.usage").read_text()) / 1e9

    def stop(self, grace_s: int = 10) -> None:
        """Sends TERM, and KILL after the grace period, as Cloud Run does."""
        self._engine.run("stop", "-t", str(grace_s), self.id)  # the one name of the option in every version of both

    def remove(self) -> None:
        """Kills and removes it, with its anonymous volumes."""
        self._engine.run("rm", "--force", "--volumes", self.id)


def control_group(pid: int, controller: str) -> Path:
    """Returns the folder of a process's control group: version 1 has one for each controller, version 2 has one."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}")
    return Path(f"/sys/fs/cgroup{path}")  # pyright: ignore[reportPossiblyUnboundVariable]  version 2 has one line


def memory_statistic(cgroup: Path, name: str) -> int:
    """Returns a line of memory.stat, with what is below the group: version 1 counts that under a name of its own."""
    stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return int(stat.get(f"total_{name}", stat[name]))


def chosen() -> str:
    """Returns the engine that the environment's LOCALCLOUD_ENGINE names; "" if it names none.

    Raises:
        EngineError: There is none of this name.
    """
    name = os.environ.get(CHOICE, "")
    if name and name not in ENGINES:
        raise EngineError(f"{CHOICE}={name}: no such container engine, set it to {' or '.join(ENGINES)}, or unset it")
    return name


class Engine:
    """podman or docker.

    Args:
        name: Which; "" for the one that LOCALCLOUD_ENGINE names, else the first that works.

    Raises:
        EngineError: It, or neither, works on this machine; the message says what to do.
    """

    def __init__(self, name: str = "") -> None:
        self._environment = dict(os.environ)
        only = name or chosen()
        tried: list[str] = []
        for self.name in [only] if only else ENGINES:
            if not shutil.which(self.name):
                continue
            self._configure()
            try:
                self.run("info")
            except EngineError as error:
                tried.append(str(error).strip().splitlines()[-1])
            else:
                return
        if only:
            reason = "; ".join(tried) or "it is not installed"
            hint = "" if name else f" ({CHOICE} chose it)"
            raise EngineError(f"the container engine {only} does not work: {reason}{hint}")
        reasons = "; ".join(tried) or "neither podman nor docker is installed"
        raise EngineError(f"no container engine works: {reasons} (apt-get install podman runc slirp4netns)")

    def _configure(self) -> None:
        """Lets podman run where control groups are not version 2 alone: crun and systemd's manager fail there."""
        if self.name != "podman" or Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return
        path = Path(tempfile.gettempdir()) / f"containers-{os.getuid()}.conf"
        text = '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        text += '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        if not path.exists() or path.read_text() != text:
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(text)
            scratch.replace(path)
        self._environment["CONTAINERS_CONF"] = str(path)

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        merge_streams: bool = False,
        stdin: str = "",
        timeout_s: float | None = None,
    ) -> str:
        """Runs the engine's command and returns what it prints.

        Raises:
            EngineError: It failed; the message ends with what it said.
        """
        done = subprocess.run(  # noqa: S603
            [self.name, *arguments],
            env=self._environment | dict(environment or {}),
            input=stdin,
            cwd=tempfile.gettempdir(),  # podman's monitor leaves a file where it stands when memory runs out
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_streams else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise EngineError(f"{self.name} {' '.join(arguments[:2])} failed: {done.stderr or done.stdout}")
        return done.stdout

    @cached_property
    def bridge(self) -> Bridge | None:
        """Where containers reach this machine; None if that is its loopback, as with podman.

        The gateway is missing from docker's answer when docker chose it: then it is the first address of the subnet,
        https://github.com/moby/moby/issues/26799.
        """
        if self.name != "docker":
            return None
        found = json.loads(self.run("network", "inspect", "bridge"))[0]
        network = next(each for each in found["IPAM"]["Config"] if ":" not in each["Subnet"])
        address = network.get("Gateway") or str(ip_network(network["Subnet"])[1])
        return Bridge(found["Options"]["com.docker.network.bridge.name"], address)

    def _network(self) -> list[str]:
        # No name server: nothing in a container looks for the world outside this machine.
        if self.bridge:
            return [f"--add-host={HOST}:{self.bridge.address}", "--dns=127.0.0.1"]
        network = "slirp4netns:allow_host_loopback=true,enable_ipv6=false"
        return [f"--network={network}", f"--add-host={HOST}:{SLIRP_HOST}", "--dns=127.0.0.1"]

    def start(self, spec: ContainerSpec, *, name: str = "", beside: Container | None = None) -> Container:
        """Starts a container and returns while it runs.

        Args:
            spec: What to run.
            name: The container's name; a made-up one if empty.
            beside: A running container whose network it shares (then `ports` must be empty).
        """
        network = [f"--network=container:{beside.id}"] if beside else self._network()
        if spec.isolated:
            network = ["--network=none"]
        arguments = [*network, *spec.arguments(), *([f"--name={name}"] if name else []), spec.image, *spec.command]
        return Container(self, self.run("run", "--detach", *arguments, environment=spec.environment).strip())

    def container(self, name: str) -> Container | None:
        """Finds a container by its name, running or not."""
        for line in self.run("ps", "--all", "--no-trunc", "--format={{.ID}} {{.Names}}").splitlines():
            id_, _, found = line.partition(" ")
            if found == name:
                return Container(self, id_)
        return None

    def containers(self, label: str) -> list[Container]:
        """Returns the containers with a label, `NAME=VALUE`, running or not."""
        listed = self.run("ps", "--all", "--no-trunc", "--quiet", f"--filter=label={label}")
        return [Container(self, id_) for id_ in listed.split()]

    def volumes(self, label: str) -> list[str]:
        """Returns the names of the volumes with a label, `NAME=VALUE`."""
        return self.run("volume", "ls", "--quiet", f"--filter=label={label}").split()

    def create_volume(self, name: str, label: str) -> None:
        """Makes an empty volume, unless there is one of this name and label."""
        if name not in self.volumes(label):
            self.run("volume", "create", f"--label={label}", name)

    def remove_volume(self, name: str) -> None:
        """Removes a volume and what it holds; no container may use it."""
        self.run("volume", "rm", name)

    def has_image(self, reference: str) -> bool:
        """Whether an image of this reference is stored here."""
        return bool(self.run("images", "--quiet", reference).strip())

    def tag(self, reference: str, other: str) -> None:
        """Gives an image another name, too."""
        self.run("tag", reference, other)

    def image_id(self, reference: str) -> str:
        """Returns the digest of an image's configuration, in hexadecimal."""
        return self.run("image", "inspect", "--format={{.Id}}", reference).strip().removeprefix("sha256:")

    def image_mib(self, reference: str) -> float:
        """Returns an image's size in MiB."""
        return int(self.run("image", "inspect", "--format={{.Size}}", reference)) / MIB

    def load(self, archive: Path, reference: str) -> None:
        """Makes an image of a tar archive of a root file system."""
        self.run("import", str(archive), reference)

    def push(self, image: str, reference: str) -> str:
        """Pushes a local image to a registry, as whom the engine is logged in there.

        Returns:
            The digest that the registry knows it by.

        Raises:
            EngineError: The registry refused it or did not answer.
        """
        self.run("tag", image, reference)
        if self.name == "docker":
            # https://docs.docker.com/reference/cli/docker/image/push/: the last line ends with digest and size
            return self.run("push", reference).rpartition("digest: ")[2].split()[0]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "digest"
            self.run("push", "--quiet", f"--digestfile={file}", reference)
            return file.read_text().strip()

    def build(self, context: Path, reference: str, *, arguments: Mapping[str, str], pull: bool) -> None:
        """Builds a Dockerfile.

        This machine's certificates, if it has a bundle, lie in the context as `machine.crt` for steps that need them.
        The argument PIP_CERT names the place where a Dockerfile that has use for them copies them to.

        Args:
            context: The folder with the Dockerfile.
            reference: The image's name.
            arguments: Values of the Dockerfile's ARGs.
            pull: Whether base images may come from a registry.
        """
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        if self.name == "podman":
            options.append(f"--pull={'missing' if pull else 'never'}")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "context"
            shutil.copytree(context, copy)
            if CA_BUNDLE.exists():
                # Not a mount: docker's builders have none, and one over /etc/ssl would break installing Debian's own.
                shutil.copyfile(CA_BUNDLE, copy / "machine.crt")
                options.append(f"--build-arg=PIP_CERT={PIP_CERT}")
            self.run("build", "--network=host", *options, f"--tag={reference}", str(copy))
