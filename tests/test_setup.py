"""tools/setup.sh: what the machine lacks is told at once, and nothing is done when all is there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
SETUP = CHECKOUT / "tools" / "setup.sh"
BASIC_TOOLS = ("bash", "cat", "cksum", "dirname", "env", "head", "id", "sed", "sort")


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with a shell and nothing else."""
    for name in BASIC_TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    return {"PATH": str(tmp_path)}


def put(environment: dict[str, str], name: str, prints: str) -> None:
    """Puts a program into a bare machine that prints one line."""
    program = Path(environment["PATH"]) / name
    program.write_text(f"#!/usr/bin/env bash\necho '{prints}'\n")
    program.chmod(0o755)


def run(script: Path, level: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), level], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    shutil.copytree(CHECKOUT / "tools", folder / "tools")
    for name in ("Pipfile", "Pipfile.lock", "package.json", "package-lock.json"):
        shutil.copy(CHECKOUT / name, folder / name)
    return folder / "tools" / "setup.sh"


def test_everything_that_is_missing_is_told_at_once_with_a_command(
    fresh_clone: Path, bare_machine: dict[str, str]
) -> None:
    done = run(fresh_clone, "synth", bare_machine)
    assert done.returncode == 69
    lines = done.stderr.splitlines()
    (python,) = [line for line in lines if line.strip().startswith("python >= 3.11")]
    (terraform,) = [line for line in lines if line.strip().startswith("terraform >= 1.11 (found: none)")]
    assert "apt-get install python3 python3-venv" in python
    assert "https://developer.hashicorp.com/terraform/install" in terraform


@pytest.mark.parametrize(
    ("version", "accepted"), [("1.10.5", False), ("1.9.0", False), ("1.11.0", True), ("2.0.0", True)]
)
def test_terraform_must_be_new_enough(
    fresh_clone: Path, bare_machine: dict[str, str], version: str, *, accepted: bool
) -> None:
    put(bare_machine, "terraform", f"Terraform v{version}")
    done = run(fresh_clone, "synth", bare_machine)
    assert (f"terraform >= 1.11 (found: {version})" not in done.stderr) == accepted
    assert "python >= 3.11" in done.stderr


@pytest.mark.skipif(
    (CHECKOUT / "node_modules").is_symlink(),
    reason="where npm follows a link, it would empty the folder of another checkout",
)
def test_a_checkout_that_is_ready_is_left_alone() -> None:
    before = {path: path.stat().st_mtime_ns for path in (CHECKOUT / ".venv", CHECKOUT / "node_modules")}
    done = run(SETUP, "test", dict(os.environ))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_unknown_level_is_refused() -> None:
    assert run(SETUP, "everything", dict(os.environ)).returncode == 64


def test_the_locks_name_no_package_index() -> None:
    for name in ("Pipfile", "Pipfile.lock"):
        assert "[[source]]" not in "\n".join(
            line for line in (CHECKOUT / name).read_text().splitlines() if not line.startswith("#")
        )
    assert '"sources": []' in (CHECKOUT / "Pipfile.lock").read_text()
    assert '"resolved"' not in (CHECKOUT / "package-lock.json").read_text()
