"""Containers through podman or docker, whichever is there: the one place that knows their command lines.

A container has a network of its own, and its ports are published on loopback alone. Under the name `HOST` it reaches
what listens on 127.0.0.1 with podman (slirp4netns, https://docs.podman.io/en/v4.3/markdown/podman-run.1.html), and on
its bridge with docker (`Engine.bridge`). Its calls come from an address that is its own and that it cannot choose: with
podman one of loopback's, given once, with docker its address on the bridge. Secrets go through the environment of the
command, never through its arguments.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

from containers import podman
from containers.container import MIB, Command, Container, ContainerSpec, EngineError
from containers.context import with_certificates
from containers.loopback import unguessable_address
from containers.private import NotPrivate, scratch_folder

CHOICE = "LOCALCLOUD_ENGINE"
ENGINES = ("podman", "docker")
HOST = "host.internal"
SLIRP_HOST = "10.0.2.2"
_ADDRESS = "localcloud.address"  # the label with the address that podman's containers call from


class Bridge(NamedTuple):
    """Where docker's containers reach this machine.

    Attributes:
        interface: The network interface.
        address: This machine's address on it.
    """

    interface: str
    address: str


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
        self._labels_at: dict[str, Mapping[str, str]] = {}
        try:
            self._scratch = scratch_folder()
        except NotPrivate as error:
            raise EngineError(str(error)) from error
        only = name or chosen()
        tried: list[str] = []
        for self.name in [only] if only else ENGINES:
            if not shutil.which(self.name):
                continue
            self._environment |= podman.configuration(self._scratch) if self.name == "podman" else {}
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
            cwd=self._scratch,  # podman's monitor leaves a file where it stands when memory runs out
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

    def command(self, *arguments: str) -> Command:
        """Returns what `run` runs."""
        return Command([self.name, *arguments], self._environment, self._scratch)

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
        address = unguessable_address()
        network = f"slirp4netns:allow_host_loopback=true,enable_ipv6=false,outbound_addr={address}"
        label = f"--label={_ADDRESS}={address}"
        return [label, f"--network={network}", f"--add-host={HOST}:{SLIRP_HOST}", "--dns=127.0.0.1"]

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
        with tempfile.TemporaryDirectory() as folder:
            id_file = Path(folder, "id")
            try:
                id_ = self.run("run", "--detach", f"--cidfile={id_file}", *arguments, environment=spec.environment)
            except EngineError:
                if id_file.exists():  # it was made but did not start
                    Container(self.run, id_file.read_text().strip()).remove()
                raise
        container = Container(self.run, id_.strip())
        for helper in spec.helpers:
            self._help(container, helper)
        return container

    def _help(self, container: Container, helper: ContainerSpec) -> None:
        """Starts a container that shares another one's network and sees its processes: it ends when the first does.

        podman is told the places and not the container, which could not be removed while another one named it.
        """
        try:
            if self.name == "podman":
                spaces = {kind: f"ns:/proc/{container.pid}/ns/{kind}" for kind in ("pid", "net")}
            else:
                spaces = dict.fromkeys(("pid", "net"), f"container:{container.id}")
            shared = [f"--pid={spaces['pid']}", f"--network={spaces['net']}"]
            self.run("run", "--detach", "--rm", *shared, *helper.arguments(), helper.image, *helper.command)
        except EngineError:
            if container.running:
                container.remove()
                raise

    def container(self, name: str) -> Container | None:
        """Finds a container by its name, running or not."""
        for line in self.run("ps", "--all", "--no-trunc", "--format={{.ID}} {{.Names}}").splitlines():
            id_, _, found = line.partition(" ")
            if found == name:
                return Container(self.run, id_)
        return None

    def containers(self, label: str) -> list[Container]:
        """Returns the containers with a label, `NAME=VALUE`, running or not."""
        listed = self.run("ps", "--all", "--no-trunc", "--quiet", f"--filter=label={label}")
        return [Container(self.run, id_) for id_ in listed.split()]

    def labels_at(self, address: str, label: str) -> Mapping[str, str]:
        """Returns the labels of the container that calls this machine from an address.

        Args:
            address: From which a request came.
            label: One that it must have, `NAME=VALUE`.

        Returns:
            Nothing if there is no such container.
        """
        if self.bridge:  # docker gives an address again when its container has ended
            found = (container for container in self.containers(label) if container.address == address)
            return next((container.labels() for container in found), dict[str, str]())
        if address not in self._labels_at:
            found = self.containers(f"{_ADDRESS}={address}")
            labels = found[0].labels() if found else {}
            name, _, value = label.partition("=")
            if labels.get(name) != value:
                return {}
            self._labels_at[address] = labels
        return self._labels_at[address]

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
        """Gives an image a further name."""
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

        Args:
            context: The folder with the Dockerfile.
            reference: The image's name.
            arguments: Values of the Dockerfile's ARGs, beside that of `with_certificates`.
            pull: Whether base images may come from a registry.
        """
        pulling = [f"--pull={'missing' if pull else 'never'}"] if self.name == "podman" else []
        with with_certificates(context) as (folder, more):
            options = [f"--build-arg={name}={value}" for name, value in {**arguments, **more}.items()]
            self.run("build", "--network=host", *options, *pulling, f"--tag={reference}", str(folder))
