"""`python -m localcloud`: any command meets the local cloud, which survives it, and can be listed and forgotten."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.terraform import ENGINE
from harness.workspace import OAUTH_CLIENT_SECRET, one_line
from tests.localcloud.conftest import SHOP
from tests.stacks.documents import ENVIRONMENTS

CHECKOUT = ENVIRONMENTS.parents[2]
LIMIT = 120  # seconds


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the shop's document in `shop`."""
    (tmp_path / "shop").mkdir()
    shutil.copy(SHOP, tmp_path / "shop" / "cdk.tf.json")
    return tmp_path


def test_exec_runs_terraform_and_keeps_what_it_made(project: Path) -> None:
    for arguments in (["init"], ["apply", "-auto-approve"]):
        _localcloud(project, "exec", "--", ENGINE, *arguments, folder="shop")
    assert "projects/acme-shop/locations/europe-west1/repositories/images" in _localcloud(project, "status").stdout
    plan = _localcloud(project, "exec", "--", ENGINE, "plan", "-detailed-exitcode", folder="shop")
    assert "No changes" in plan.stdout


def test_exec_leaves_the_document_and_its_state_alone(project: Path) -> None:
    folder = project / "shop"
    before = sorted(path.name for path in folder.iterdir())
    for arguments in (["init"], ["apply", "-auto-approve"]):
        _localcloud(project, "exec", "--", ENGINE, f"-chdir={folder}", *arguments)
    assert sorted(path.name for path in folder.iterdir()) == sorted([".terraform-localcloud", *before])
    assert len(list((project / "cloud" / "states").glob("*.tfstate"))) == 1


def test_a_document_with_a_remote_backend_needs_no_credentials(project: Path) -> None:
    folder = project / "shop"
    document = json.loads((folder / "cdk.tf.json").read_text())
    document["terraform"]["backend"] = {"gcs": {"bucket": "acme-shop-tfstate", "prefix": "shop"}}
    (folder / "cdk.tf.json").write_text(json.dumps(document))
    _localcloud(project, "exec", "--", ENGINE, "init", folder="shop")
    _localcloud(project, "exec", "--", ENGINE, "apply", "-auto-approve", folder="shop")


def test_exec_ends_with_the_status_of_the_command(project: Path) -> None:
    assert _localcloud(project, "exec", "--", "sh", "-c", "exit 7", status=7)
    assert "command not found" in _localcloud(project, "exec", "--", "no-such-command", status=127).stderr
    assert "usage" in _localcloud(project, "exec", status=64).stderr


def test_reset_forgets_everything(project: Path) -> None:
    for arguments in (["init"], ["apply", "-auto-approve"]):
        _localcloud(project, "exec", "--", ENGINE, *arguments, folder="shop")
    _localcloud(project, "reset")
    assert [path.name for path in (project / "cloud").iterdir()] == ["lock"]
    assert "There is no local cloud" in _localcloud(project, "status").stdout
    plan = _localcloud(project, "exec", "--", ENGINE, "plan", "-detailed-exitcode", folder="shop", status=2)
    assert "0 to change, 0 to destroy" in one_line(plan.stdout)


def test_cdktf_deploys_and_destroys(project: Path) -> None:
    for stack in ("bootstrap", "tracking"):
        _localcloud(project, "exec", "--", "cdktf", "deploy", stack, "--auto-approve", folder=".", cdktf=True)
    assert "google_cloud_run_v2_service " in _localcloud(project, "status").stdout
    for stack in ("tracking", "bootstrap"):
        _localcloud(project, "exec", "--", "cdktf", "destroy", stack, "--auto-approve", folder=".", cdktf=True)
    assert _localcloud(project, "status").stdout.split() == []


def test_two_runs_at_once_both_arrive(project: Path) -> None:
    home = project / "cloud"
    document = json.loads(SHOP.read_text())
    repositories = "google_artifact_registry_repository"
    document["resource"] = {kind: document["resource"][kind] for kind in ("google_project_service", repositories)}
    document["resource"][repositories]["images"]["repository_id"] = "second"
    del document["ephemeral"], document["locals"]["url"]
    (project / "second").mkdir()
    (project / "second" / "cdk.tf.json").write_text(json.dumps(document))
    command = f"{ENGINE} init >/dev/null && {ENGINE} apply -auto-approve"
    runs = [_start(project, "exec", "--", "sh", "-c", command, folder=name) for name in ("shop", "second")]
    outputs = [run.communicate(timeout=LIMIT) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert sum(f"uses {home}: waiting for it to end" in errors for _, errors in outputs) == 1
    listing = _localcloud(project, "status").stdout
    assert "repositories/images" in listing
    assert "repositories/second" in listing


def test_a_killed_exec_leaves_no_server(project: Path) -> None:
    run = _start(project, "exec", "--", "sh", "-c", "echo up; exec sleep 60")
    assert run.stdout
    assert run.stdout.readline() == "up\n"
    holder = int((project / "cloud" / "lock").read_text())
    run.send_signal(signal.SIGKILL)
    run.wait(LIMIT)
    deadline = time.monotonic() + LIMIT
    while Path(f"/proc/{holder}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_folder_is_its_owners_alone(project: Path) -> None:
    _localcloud(project, "exec", "--", "true")
    assert stat.S_IMODE((project / "cloud").stat().st_mode) == 0o700


def test_a_fault_of_no_kind_is_refused(project: Path) -> None:
    result = _localcloud(project, "exec", "--fault", "explode:x", "--", "true", status=2)
    assert "error-before, error-after, kill" in one_line(result.stderr)


@pytest.mark.parametrize("variable", ["LOGIN", "=x", "LOGIN={sign_in}", "LOGIN={login_url", "LOGIN=login_url}"])
def test_a_variable_for_containers_that_means_nothing_is_refused(project: Path, variable: str) -> None:
    result = _localcloud(project, "up", "--env", variable, status=2)
    assert "with no braces in it but {certs_url}, {iap_keys_url}, {login_url}, {token_url}" in one_line(result.stderr)


def _start(project: Path, *arguments: str, folder: str = "shop", cdktf: bool = False) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "TF_VAR_oauth_client_secret": OAUTH_CLIENT_SECRET}
    command = [sys.executable, "-m", "localcloud", "--home", str(project / "cloud"), *arguments]
    if cdktf:
        _make_cdktf_project(project)
    return subprocess.Popen(
        command, cwd=project / folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _localcloud(
    project: Path, *arguments: str, folder: str = "shop", status: int = 0, cdktf: bool = False
) -> subprocess.CompletedProcess[str]:
    run = _start(project, *arguments, folder=folder, cdktf=cdktf)
    output, errors = run.communicate(timeout=LIMIT)
    assert run.returncode == status, f"{arguments}:\n{output}\n{errors}"
    return subprocess.CompletedProcess(arguments, run.returncode, output, errors)


def _make_cdktf_project(project: Path) -> None:
    """A CDKTF project whose app synthesizes the dev environment into its own folder."""
    app = (
        "import os; from pathlib import Path; from stacks import bindings; bindings.install(os.environ); "
        "from stacks.app import synthesize; from stacks.settings.load import load; "
        f"synthesize(load(Path('{ENVIRONMENTS}/dev.toml'), {{}}), environment='dev', output=Path('cdktf.out'))"
    )
    (project / "app.py").write_text(app)
    settings = {
        "language": "python",
        "app": f"{sys.executable} app.py",
        "projectId": "test",
        "sendCrashReports": "false",
    }
    (project / "cdktf.json").write_text(json.dumps(settings))
