"""Runs checkov as `.checkov.yaml` says, and turns its report into findings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / ".checkov.yaml"

# Of checkov 3.3.30's own checks, these stumble over `database_flags` in a document; on a plan they run.
STUMBLING = {"CKV_GCP_50", "CKV_GCP_54", "CKV_GCP_57"}


class ScanError(Exception):
    """The scan itself went wrong, so that no findings would mean nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one resource.

    Attributes:
        check_id: Such as `CKV_MLFLOW_1`, or `CKV_GCP_29` of checkov's own.
        name: What the check promises.
        file: The scanned file, relative to the scanned folder, with a leading slash.
        line: Where the resource starts in it.
        resource: Its address in a plan; in a document checkov knows only `resource.<name>`.
        details: What is wrong and what to do; empty for checkov's own checks.
    """

    check_id: str
    name: str
    file: str
    line: int
    resource: str
    details: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.resource} {self.check_id} {self.name}: {'; '.join(self.details)}"


@dataclass(frozen=True, slots=True)
class Scan:
    """The findings of one run."""

    failed: list[Finding]
    passed: list[Finding]


def scan(path: Path, *, checks: str | None = None, config: Path = CONFIG) -> Scan:
    """Scans documents (`*.tf.json`) and plans (`terraform show -json` in a `.json` file).

    Args:
        path: A file, or a folder that is searched for them.
        checks: Checks to run alone, such as `CKV_MLFLOW_*`; all of them when None.
        config: checkov's configuration; relative paths in it start at its own folder.

    Raises:
        ScanError: checkov found nothing to scan or could not read it, or a policy could not be loaded or crashed, as
            checkov's own do on a `dynamic` block in a document.
    """
    target = ["--directory" if path.is_dir() else "--file", str(path.resolve())]
    chosen = ["--check", checks] if checks else []
    command = [sys.executable, "-m", "checkov.main", "--config-file", str(config), "--output", "json", *target, *chosen]
    # checkov always reads the configuration of the folder that it is run in, too.
    run = subprocess.run(command, cwd=config.parent, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise ScanError(f"checkov ended with {run.returncode}: {run.stderr}")
    _refuse_broken_policies(run.stderr)
    reports = _reports(run.stdout)
    if unread := [file for report in reports for file in report["results"]["parsing_errors"]]:
        raise ScanError(f"checkov could not read {', '.join(unread)}: {run.stderr}")
    result = Scan(failed=_findings(reports, "failed_checks"), passed=_findings(reports, "passed_checks"))
    if not result.failed and not result.passed:
        raise ScanError(f"checkov found no resource to check in {path}: {run.stderr}")
    return result


def _refuse_broken_policies(log: str) -> None:
    # checkov logs these and goes on as if the check had passed.
    broken = set(re.findall(r"Cannot load external check '(\w+)'", log))
    for check_id, file in re.findall(r"Failed to run check (\w+) on ([^:]+):", log):
        if not (check_id in STUMBLING and file.endswith(".tf.json")):
            broken.add(check_id)
    if broken:
        raise ScanError(f"policies that did not run: {', '.join(sorted(broken))}: {log}")


def _reports(output: str) -> list[dict[str, Any]]:
    # One report is an object, several are a list; without any there is a bare summary.
    report = json.loads(output)
    return [part for part in (report if isinstance(report, list) else [report]) if "results" in part]


def _findings(reports: list[dict[str, Any]], outcome: str) -> list[Finding]:
    return [
        Finding(
            check_id=record["check_id"],
            name=record["check_name"],
            file=record["file_path"],
            line=record["file_line_range"][0],
            resource=record["resource"],
            details=tuple(record["details"]),
        )
        for report in reports
        for record in report["results"][outcome]
    ]
