"""The scan sees what is bad, accepts what the stack writes, waives only with a reason, and does not fail in silence."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.policies.documents import FIXTURES, SYSTEMS, every, of_system
from tests.policies.plans import plan_of, shapes
from tools.scan import CONFIG, ROOT, Scan, ScanError, main, scan

if TYPE_CHECKING:
    from pathlib import Path

WAIVER = re.compile(r"^  - (CKV\w+)(?: # (.+))?$", re.MULTILINE)

CRASHING_POLICY = """
from _policy import policy

@policy(check_id="CKV_CRASHING_1", name="crashing", resources=["google_storage_bucket"], guide="none")
def crashing(bucket):
    raise RuntimeError("no such thing")
"""


def configured(folder: Path, *, also_policies: Path | None = None, waiving: bool = True) -> Path:
    """A variant of the project's configuration, in another folder."""
    text = CONFIG.read_text() if waiving else CONFIG.read_text().partition("skip-check:")[0]
    folders = [ROOT / "policies", *([also_policies] if also_policies else [])]
    config = folder / "checkov.yaml"
    config.write_text(text.replace("  - policies\n", "".join(f"  - {path}\n" for path in folders)))
    return config


def waivers() -> dict[str, str]:
    """The waived checks with their reasons."""
    return dict(WAIVER.findall(CONFIG.read_text().partition("skip-check:")[2]))


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bad system and the good one, each as `cdk.tf.json` and as `plan.json`."""
    folder = tmp_path_factory.mktemp("systems")
    types = shapes(every())
    for name in SYSTEMS:
        shutil.copytree(FIXTURES / name, folder / name)
        (folder / name / "plan.json").write_text(json.dumps(plan_of(of_system(name), types)))
    return folder


@pytest.fixture(scope="module")
def findings(systems: Path) -> Scan:
    return scan(systems)


@pytest.mark.parametrize("form", ["cdk.tf.json", "plan.json"])
def test_a_bad_system_is_seen_by_checkov_and_by_our_policies(findings: Scan, form: str) -> None:
    seen = {finding.check_id for finding in findings.failed if finding.file == f"known_bad/{form}"}
    assert seen >= {"CKV_GCP_11", "CKV_GCP_14", "CKV_GCP_29", "CKV_GCP_114", "CKV_GCP_117"}
    assert seen >= {f"CKV_MLFLOW_{number}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 18, 20, 21, 22, 23)}


@pytest.mark.parametrize("form", ["cdk.tf.json", "plan.json"])
def test_a_system_as_the_stack_writes_it_is_accepted(findings: Scan, form: str) -> None:
    assert [str(finding) for finding in findings.failed if finding.file == f"system/{form}"] == []
    assert [finding for finding in findings.passed if finding.file == f"system/{form}"]


def test_every_waiver_is_needed_and_has_a_reason(systems: Path, tmp_path: Path) -> None:
    result = scan(systems / "system", config=configured(tmp_path, waiving=False))
    needed = {finding.check_id for finding in result.failed}
    assert set(waivers()) == needed
    assert [check_id for check_id, reason in waivers().items() if len(reason.split()) < 5] == []
    assert not any(check_id.startswith("CKV_MLFLOW_") for check_id in waivers())


def test_a_finding_names_the_resource_alike_in_both_forms(findings: Scan) -> None:
    about_the_port = {(each.file, each.resource) for each in findings.failed if each.check_id == "CKV_MLFLOW_2"}
    service = "google_cloud_run_v2_service.bad-service"
    assert about_the_port == {("known_bad/cdk.tf.json", service), ("known_bad/plan.json", service)}


def test_a_document_with_a_renamed_address_is_scanned_all_the_same(tmp_path: Path) -> None:
    document = of_system("known_bad")
    document["moved"] = [{"from": "google_storage_bucket.old", "to": "google_storage_bucket.new"}]
    (tmp_path / "cdk.tf.json").write_text(json.dumps(document))
    assert "CKV_MLFLOW_2" in {finding.check_id for finding in scan(tmp_path).failed}


def test_a_scan_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no resource to check"):
        scan(tmp_path)


def test_a_policy_that_cannot_be_loaded_or_crashes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "unloadable.py").write_text("raise RuntimeError('no such thing')")
    (tmp_path / "crashing.py").write_text(CRASHING_POLICY)
    with pytest.raises(ScanError, match="gave up on CKV_CRASHING_1, unloadable"):
        scan(FIXTURES / "system", config=configured(tmp_path, also_policies=tmp_path))


def test_the_command_prints_each_finding_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FIXTURES / "known_bad")]) == 1
    port = "cdk.tf.json: google_cloud_run_v2_service.bad-service: CKV_MLFLOW_2 Cloud Run sends requests to the sign-in"
    assert port in capsys.readouterr().out


@pytest.mark.parametrize("name", ["broken.json", "missing.json"])
def test_the_command_says_what_it_could_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert main([str(tmp_path / name)]) == 2
    assert f"{name} cannot be read as JSON" in capsys.readouterr().err
