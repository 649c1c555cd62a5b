"""Where the command lines of docker and podman differ; commands of these names note what they are told."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Protocol

import pytest

from containers import context as contexts
from containers.container import ContainerSpec
from containers.engine import Bridge, Engine, EngineError
from localcloud import daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OPTIONS = {"com.docker.network.bridge.name": "docker0"}
COMMAND = """#!/bin/sh
echo "$0 $*" >>{log}
case "$1" in
info) exit {status} ;;
network) echo {network} ;;
build) for context; do :; done; /bin/cp -r "$context" {log}.context ;;
push) echo 'latest: digest: sha256:5eed size: 528' ;;
esac
"""


class Install(Protocol):
    """Makes commands of these names, the only ones on the path; returns what gives the last command's words."""

    def __call__(self, *names: str, status: int = 0, network: Mapping[str, str] = {}) -> Callable[[], list[str]]: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    log, folder = tmp_path / "log", tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("LOCALCLOUD_ENGINE", raising=False)

    def make(*names: str, status: int = 0, network: Mapping[str, str] = {}) -> Callable[[], list[str]]:
        inspected = json.dumps([{"IPAM": {"Config": [{"Subnet": "fd00::/80"}, network]}, "Options": OPTIONS}])
        for name in names:
            command = folder / name
            command.write_text(COMMAND.format(log=log, status=status, network=shlex.quote(inspected)))
            command.chmod(0o755)
        return last

    def last() -> list[str]:
        return log.read_text().splitlines()[-1].split()

    return make


def test_podman_is_preferred(install: Install) -> None:
    install("podman", "docker")
    assert Engine().name == "podman"


def test_docker_is_taken_where_podman_does_not_work(install: Install) -> None:
    install("podman", status=125)
    install("docker")
    assert Engine().name == "docker"


def test_the_environment_chooses(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("podman", "docker")
    monkeypatch.setenv("LOCALCLOUD_ENGINE", "docker")
    assert Engine().name == "docker"


def test_an_unknown_choice_is_refused_with_the_ones_there_are(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("podman", "docker")
    monkeypatch.setenv("LOCALCLOUD_ENGINE", "lxc")
    with pytest.raises(EngineError, match="=lxc: no such container engine, set it to podman or docker"):
        Engine()


@pytest.mark.parametrize(("there", "reason"), [((), "it is not installed"), (("docker",), "docker info failed")])
def test_a_choice_that_does_not_work_is_not_replaced(
    install: Install, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], reason: str
) -> None:
    install("podman")
    install(*there, status=1)
    monkeypatch.setenv("LOCALCLOUD_ENGINE", "docker")
    with pytest.raises(EngineError, match=f"docker does not work: {reason}"):
        Engine()


def test_a_local_cloud_stays_with_the_engine_that_it_began_with(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("docker")
    assert daemon.settled_engine(tmp_path).name == "docker"
    install("podman")
    assert daemon.settled_engine(tmp_path).name == "docker"
    monkeypatch.setenv("LOCALCLOUD_ENGINE", "podman")
    with pytest.raises(EngineError, match="has begun on docker: unset LOCALCLOUD_ENGINE, or reset it first"):
        daemon.settled_engine(tmp_path)
    assert daemon.engine(tmp_path).name == "docker"


@pytest.mark.parametrize("gateway", [{}, {"Gateway": "172.17.0.1"}])
def test_a_container_finds_this_machine_on_the_bridge_of_docker(install: Install, gateway: dict[str, str]) -> None:
    told = install("docker", network={"Subnet": "172.17.0.0/16", **gateway})
    engine = Engine()
    assert engine.bridge == Bridge("docker0", "172.17.0.1")
    engine.start(ContainerSpec(image="x"))
    assert told()[-3:] == ["--add-host=host.internal:172.17.0.1", "--dns=127.0.0.1", "x"]


def test_a_gateway_of_the_users_own_is_heeded(install: Install) -> None:
    install("docker", network={"Subnet": "10.9.0.0/16", "Gateway": "10.9.0.7"})
    assert Engine().bridge == Bridge("docker0", "10.9.0.7")


def test_a_container_finds_this_machine_on_loopback_with_podman(install: Install) -> None:
    told = install("podman")
    engine = Engine()
    assert engine.bridge is None
    engine.start(ContainerSpec(image="x"))
    label, network, *others = told()[-5:]
    address = label.removeprefix("--label=localcloud.address=")
    assert network == f"--network=slirp4netns:allow_host_loopback=true,enable_ipv6=false,outbound_addr={address}"
    assert others == ["--add-host=host.internal:10.0.2.2", "--dns=127.0.0.1", "x"]


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_a_build_finds_the_certificates_of_this_machine(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    bundle, context = tmp_path / "bundle", tmp_path / "context"
    bundle.write_text("certificates")
    context.mkdir()
    monkeypatch.setattr(contexts, "CA_BUNDLE", bundle)
    told = install(name)
    Engine().build(context, "x", arguments={}, pull=False)
    assert "--build-arg=PIP_CERT=/opt/machine.crt" in told()
    assert (tmp_path / "log.context/machine.crt").read_text() == "certificates"
    assert list(context.iterdir()) == []


@pytest.mark.parametrize(("name", "options"), [("podman", ["--pull=never"]), ("docker", [])])
def test_docker_takes_bases_that_are_here_by_itself_and_podman_is_told_to(
    install: Install, tmp_path: Path, name: str, options: list[str]
) -> None:
    told = install(name)
    Engine().build(tmp_path, "x", arguments={}, pull=False)
    assert [word for word in told() if word.startswith("--pull")] == options


def test_the_digest_of_a_push_is_in_dockers_last_line(install: Install) -> None:
    install("docker")
    assert Engine().push("x", "127.0.0.1:5000/x") == "sha256:5eed"
