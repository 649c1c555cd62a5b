"""The image itself: small, lean, without privileges or secrets, and able to do the jobs around the service."""

import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from shlex import quote as quoted
from urllib.parse import quote

import pytest

from containers import images
from containers.container import ContainerSpec
from containers.engine import Engine
from harness.service import EDGE, PROXY, Platform, Service
from stacks import mlflow

SIZE_MIB = 380
EX_USAGE = 64
# Debian's folders for everybody, with the sticky bit.
SHARED_FOLDERS = {"/run/lock", "/tmp", "/var/tmp"}  # noqa: S108


def inside(engine: Engine, image: str, script: str) -> str:
    """Returns what a shell in the image prints."""
    arguments = ["--rm", "--network=none", "--entrypoint=/bin/bash", image, "-c", script]
    return engine.run("run", *arguments)


def test_it_is_small(engine: Engine, image: str) -> None:
    assert engine.image_mib(image) <= SIZE_MIB


def test_it_runs_without_privileges_and_says_what_it_is(engine: Engine, image: str) -> None:
    config = json.loads(engine.run("image", "inspect", "--format={{json .Config}}", image))
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    writable = inside(engine, image, "find / -xdev -writable -not -type l -not -path '/dev/*' 2>/dev/null || true")
    assert {path for path in writable.split() if not path.startswith("/proc/")} == SHARED_FOLDERS


def test_it_runs_though_whoever_built_it_keeps_files_to_themselves(engine: Engine, image: str, tmp_path: Path) -> None:
    context = tmp_path / "image"
    shutil.copytree(images.CONTEXT, context, ignore=shutil.ignore_patterns("__pycache__"))
    for path in context.rglob("*"):  # as with umask 077; the list of packages is read by root, and its step takes long
        if path.name != "requirements.txt":
            path.chmod(path.stat().st_mode & ~0o077)
    private = images.build(engine, context=context, name="localhost/mlflow-google-cloud/umask")
    try:
        versions = ("run", "--rm", "--network=none")
        assert engine.run(*versions, private, "version") == engine.run(*versions, image, "version")
    finally:
        engine.run("rmi", "--force", private)


def test_the_sbom_lists_what_is_installed(engine: Engine, image: str) -> None:
    sbom = json.loads(inside(engine, image, "cat /usr/share/sbom/image.cdx.json"))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    listed = {component["purl"] for component in sbom["components"]}
    assert f"pkg:pypi/mlflow@{images.mlflow_version()}" in listed
    assert {purl for purl in listed if purl.startswith("pkg:golang/github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.")}
    names = inside(engine, image, "dpkg-query --show --showformat '${Package}\\n'").split()
    assert [
        name for name in names if not any(purl.startswith(f"pkg:deb/debian/{quote(name)}@") for purl in listed)
    ] == []


def test_every_package_is_locked_with_a_hash_and_compiled() -> None:
    lines = (images.CONTEXT / "requirements.txt").read_text().splitlines()
    packages = [number for number, line in enumerate(lines) if "==" in line and not line.startswith(" ")]
    assert len(packages) > 50
    assert all("--hash=sha256:" in lines[number + 1] for number in packages)


def test_what_is_left_out_can_be_named_and_not_used(engine: Engine, image: str) -> None:
    uses = ("numpy.ndarray | None", "isinstance(1, pandas.DataFrame)", "numpy.dtype('bool')", "numpy.array([1])")
    tries = "".join(f"try: {use}; print('named')\nexcept ImportError as error: print(error)\n" for use in uses)
    script = quoted(f"import numpy, pandas\n{tries}")
    said = inside(engine, image, f"/opt/mlflow/bin/python -c {script}")
    assert said.splitlines() == [*["named"] * 3, "numpy is not in this image, which only serves MLflow"]


def test_the_modules_are_compiled(engine: Engine, image: str) -> None:
    counts = inside(
        engine, image, "for kind in py pyc; do find /opt -path '*/server/*' -name \"*.$kind\" | wc -l; done"
    )
    sources, compiled = counts.split()
    assert sources == compiled != "0"


def test_the_tests_client_is_of_the_images_version() -> None:
    assert version("mlflow") == images.mlflow_version()


def test_the_images_own_defaults_are_those_of_the_stack(engine: Engine, image: str) -> None:
    defaults = dict(line.split("=", 1) for line in inside(engine, image, "env").splitlines())
    assert {name: defaults.get(name, value) for name, value in mlflow.ENVIRONMENT.items()} == mlflow.ENVIRONMENT


def test_version_names_what_is_inside(engine: Engine, image: str) -> None:
    said = engine.run("run", "--rm", "--network=none", image, "version")
    assert f"mlflow {images.mlflow_version()}\n" in said
    assert "oauth2-proxy v7.15." in said
    assert "HAProxy version 3.0." in said


@pytest.mark.parametrize("command", ["db-upgrade", "gc", "serve"])
def test_a_command_without_a_database_says_what_it_needs(platform: Platform, command: str) -> None:
    bare = replace(platform.spec(""), environment={}, command=[command], ports=())
    status, log = platform.ends(bare)
    assert status == EX_USAGE
    assert "BACKEND_STORE_URI must be" in log


def test_nothing_listens_beyond_the_container_but_the_port(service: Service) -> None:
    table = service.container.execute("cat", "/proc/net/tcp")
    rows = [line.split() for line in table.splitlines()[1:]]
    listening = {tuple(row[1].split(":")) for row in rows if row[3] == "0A"}
    assert listening == {("0100007F", f"{8080:04X}"), ("00000000", f"{4180:04X}")}, "MLflow on loopback, and the port"
    assert service.container.execute("bash", "-c", "grep -c ' 0A ' /proc/net/tcp6 || true").strip() == "0"


def test_the_password_is_in_no_argument_list_and_not_with_the_proxy(service: Service) -> None:
    arguments = service.container.execute("bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert PROXY in arguments
    assert "postgresql" not in arguments
    for process in (PROXY, EDGE):
        script = f"for p in /proc/[0-9]*; do if grep -q ^{process} $p/cmdline; then cat $p/cmdline $p/environ; fi; done"
        assert "BACKEND_STORE_URI" not in service.container.execute("bash", "-c", script).partition(process)[2]


def test_the_specification_of_a_container_keeps_values_out_of_the_arguments() -> None:
    spec = ContainerSpec(image="x", environment={"PASSWORD": "hidden"})
    assert "hidden" not in "".join(spec.arguments())
