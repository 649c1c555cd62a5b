"""Scans synthesized documents and plans with checkov, as `.checkov.yaml` says: `python -m tools.scan cdktf.out`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tools.documents import readable

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / ".checkov.yaml"
DOCUMENT = ".tf.json"

# checkov's checks of `database_flags` are left to the plan: in a document the engine, which decides on the flags, is an
# expression, and over literal flags CKV_GCP_50, 54 and 57 of checkov 3.3.30 crash.
FLAG_CHECK = re.compile(r"CKV_GCP_(5\d|108|109|110|111)|CKV2_GCP_1[3-7]")


class ScanError(Exception):
    """The scan itself went wrong, so that no findings would mean nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one check on one resource.

    Attributes:
        check_id: Such as `CKV_MLFLOW_1`, or `CKV_GCP_29` of checkov's own.
        name: What the check promises.
        file: The document or plan, relative to the scanned folder.
        resource: Its address, such as `google_storage_bucket.artifacts`.
        details: What is wrong and what to do; empty for checkov's own checks.
    """

    check_id: str
    name: str
    file: str
    resource: str
    details: tuple[str, ...]

    def __str__(self) -> str:
        return ": ".join([self.file, self.resource, f"{self.check_id} {self.name}", *self.details])


@dataclass(frozen=True, slots=True)
class Scan:
    """The findings of one run."""

    failed: list[Finding]
    passed: list[Finding]


def scan(path: Path, *, checks: str | None = None, config: Path = CONFIG) -> Scan:
    """Scans documents (`*.tf.json`) and plans (`terraform show -json` in any other `.json` file).

    Args:
        path: A file, or a folder that is searched for them.
        checks: Checks to run alone, such as `CKV_MLFLOW_*`; all of them when None.
        config: checkov's configuration; relative paths in it start at its own folder.

    Raises:
        ScanError: There was nothing to scan, checkov could not read it, or a policy could not be loaded or crashed.
    """
    with TemporaryDirectory() as folder:
        _copy_readable(path, Path(folder))
        chosen = ["--check", checks] if checks else []
        command = [sys.executable, "-m", "checkov.main", "--config-file", str(config), "--output", "json"]
        # checkov always reads the configuration of the folder that it is run in as well.
        run = subprocess.run(  # noqa: S603 (a fixed program, and no shell)
            [*command, "--directory", folder, *chosen], cwd=config.parent, capture_output=True, text=True, check=False
        )
        if run.returncode not in (0, 1):
            raise ScanError(f"checkov ended with {run.returncode}: {run.stderr}")
        _refuse_silent_failures(run.stderr)
        reports = _reports(run.stdout)
        result = Scan(failed=_findings(reports, "failed_checks"), passed=_findings(reports, "passed_checks"))
    if not result.failed and not result.passed:
        raise ScanError(f"checkov found no resource to check in {path}: {run.stderr}")
    return result


def _copy_readable(path: Path, folder: Path) -> None:
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise ScanError(f"{file} cannot be read as JSON: {error}") from error
        copy = folder / (file.relative_to(path) if path.is_dir() else file.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(readable(content) if file.name.endswith(DOCUMENT) else content, indent=2))


def _refuse_silent_failures(log: str) -> None:
    # checkov logs these and goes on as if all were well.
    failed = set(re.findall(r"(?:Cannot load external check '|Failed to parse template: )([^'\s]+)", log))
    for check_id, file in re.findall(r"Failed to run check (\w+) on ([^:]+):", log):
        if not _is_left_to_the_plan(check_id, file):
            failed.add(check_id)
    if failed:
        raise ScanError(f"checkov gave up on {', '.join(sorted(failed))}: {log}")


def _is_left_to_the_plan(check_id: str, file: str) -> bool:
    return file.endswith(DOCUMENT) and FLAG_CHECK.fullmatch(check_id) is not None


def _reports(output: str) -> list[dict[str, Any]]:
    # One report is an object, several are a list; without any there is a bare summary.
    report: object = json.loads(output)
    parts = cast("list[dict[str, Any]]", report if isinstance(report, list) else [report])
    return [part for part in parts if "results" in part]


def _findings(reports: list[dict[str, Any]], outcome: str) -> list[Finding]:
    return [
        Finding(
            check_id=record["check_id"],
            name=record["check_name"],
            file=record["file_path"].removeprefix("/"),
            resource=_address(record),
            details=tuple(record["details"]),
        )
        for report in reports
        for record in report["results"][outcome]
        if not _is_left_to_the_plan(record["check_id"], record["file_path"])
    ]


def _address(record: dict[str, Any]) -> str:
    """The resource's address; of one in a document, checkov tells only its name and its first line."""
    before, _, name = record["resource"].partition(".")
    if before != "resource":
        return record["resource"]
    above = Path(record["file_abs_path"]).read_text().splitlines()[: record["file_line_range"][0]]
    kind = next(match[1] for line in reversed(above) if (match := re.match(r' {4}"(\w+)": \{', line)))
    return f"{kind}.{name}"


def main(arguments: list[str]) -> int:
    """Prints what the policies hold against the documents and plans in a file or folder.

    Returns:
        0 when nothing does, 1 when something does, 2 when the scan itself went wrong.
    """
    if len(arguments) != 1:
        print("usage: python -m tools.scan FILE_OR_FOLDER", file=sys.stderr)
        return 2
    try:
        result = scan(Path(arguments[0]))
    except ScanError as error:
        print(error, file=sys.stderr)
        return 2
    for finding in result.failed:
        print(finding)
    print(f"{len(result.passed)} checks passed, {len(result.failed)} failed")
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
