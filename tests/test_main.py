"""`python main.py` and the pinned CDKTF CLI, run as a user runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
SOURCES = ("main.py", "stacks", "cdktf.json", "image/mlflow_cloudrun")
DEADLINE_SECONDS = 300


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A second checkout in another folder, with a space in its name."""
    folder = tmp_path / "another clone"
    folder.mkdir()
    for name in SOURCES:
        source = CHECKOUT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    shutil.copytree(CHECKOUT / "environments", folder / "environments")
    return folder


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_GCP")}
    environ.pop("NODE_OPTIONS", None)
    return subprocess.run(
        command,
        cwd=folder,
        env=environ | variables,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def documents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("cdk.tf.json"))}


def test_it_prints_each_document_with_its_resource_count(clone: Path) -> None:
    done = run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo")
    assert (done.returncode, done.stderr) == (0, "")
    files = [f"cdktf.out/stacks/{stack}/cdk.tf.json" for stack in ("bootstrap", "tracking")]
    assert done.stdout.splitlines() == [f"{file}  {_count(clone / file)} resources" for file in files]


def _count(document: Path) -> int:
    content = json.loads(document.read_text())
    return sum(len(named) for section in ("resource", "ephemeral") for named in content.get(section, {}).values())


def test_terraform_must_be_new_enough_for_write_only_arguments(clone: Path) -> None:
    assert run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo").returncode == 0
    for stack in ("bootstrap", "tracking"):
        assert 'required_version = ">= 1.11"' in (clone / "cdktf.out" / "stacks" / stack / "versions.tf").read_text()


def test_two_clones_in_different_folders_give_the_same_bytes(clone: Path, tmp_path: Path) -> None:
    other = shutil.copytree(clone, tmp_path / "b")
    for folder in (clone, other):
        assert run(folder, sys.executable, "main.py", MLFLOW_GCP_ENV="demo").returncode == 0
    assert len(documents(clone)) == 2
    assert documents(clone) == documents(other)


def test_the_cdktf_cli_gives_the_same_documents(clone: Path) -> None:
    (clone / ".venv").symlink_to(CHECKOUT / ".venv")
    cli = str(CHECKOUT / "node_modules" / ".bin" / "cdktf")
    assert run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo").returncode == 0
    by_python = documents(clone / "cdktf.out")
    shutil.rmtree(clone / "cdktf.out")
    done = run(clone, cli, "synth", MLFLOW_GCP_ENV="demo", CI="1", CHECKPOINT_DISABLE="1", DISABLE_VERSION_CHECK="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert documents(clone / "cdktf.out") == by_python


def test_without_an_environment_it_lists_them(clone: Path) -> None:
    done = run(clone, sys.executable, "main.py")
    assert done.returncode == 64
    assert "MLFLOW_GCP_ENV is not set" in done.stderr
    assert "demo" in done.stderr


@pytest.mark.parametrize("name", ["../x", "prod eu", "demo/../demo", "-demo", ".demo", "demo;id", "$(id)", "demo\n"])
def test_an_environment_is_a_name_and_no_path_or_phrase(clone: Path, name: str) -> None:
    done = run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV=name)
    assert done.returncode == 65
    assert f"ENV = {name!r}" in done.stderr
    assert "has letters, digits, - and _, like its file; known environments: demo" in done.stderr


@pytest.mark.parametrize(
    "name", ["a b; touch $(PWNED)", "$(shell touch pwned)", "'; touch pwned; '", '"`touch pwned`"']
)
def test_make_hands_an_environment_on_as_it_is(tmp_path: Path, name: str) -> None:
    makefile = str(CHECKOUT / "Makefile")
    (tmp_path / "main.py").write_text("import os; print(os.environ['MLFLOW_GCP_ENV'])")
    done = run(tmp_path, "make", "--old-file=setup-synth", f"--file={makefile}", "synth", f"ENV={name}", "PWNED=pwned")
    assert (done.stdout, done.returncode) == (f"{name}\n", 0), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"main.py"}


def test_broken_settings_are_told_without_a_traceback(clone: Path) -> None:
    done = run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo", MLFLOW_GCP__DATABASE__TIER="huge")
    assert done.returncode == 65
    assert "database.tier (from MLFLOW_GCP__DATABASE__TIER) = 'huge'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / "cdktf.out").exists()


def test_an_override_reaches_the_document(clone: Path) -> None:
    tier = "db-custom-2-7680"
    assert run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo", MLFLOW_GCP__DATABASE__TIER=tier).returncode == 0
    assert tier in (clone / "cdktf.out/stacks/tracking/cdk.tf.json").read_text()


def test_a_first_run_says_that_it_unpacks(clone: Path, tmp_path: Path) -> None:
    cache = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(tmp_path / "cache")}
    done = run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo", **cache)
    assert done.returncode == 0, done.stderr
    assert "First run on this machine: unpacking the provider bindings" in done.stderr
    again = run(clone, sys.executable, "main.py", MLFLOW_GCP_ENV="demo", **cache)
    assert again.stderr == ""
