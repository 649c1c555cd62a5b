"""A release says what changed, and packs the same bytes for the same commit."""

import re
import shutil
import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tools import release
from tools.release import ReleaseError

CLIENT = Path(__file__).parents[1] / "client"
CHANGELOG = """\
# Changelog

## Unreleased

- Something to come.

## 1.2.0 - 2026-01-31

### Added

- A thing.

## 1.1.0 - 2025-12-24

- Another thing.
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "module").mkdir(parents=True)
    (folder / "module" / "main.tf.json").write_text("{}")
    (folder / "docs").mkdir()
    (folder / "docs" / "deploy.md").write_text("# Deploy")
    (folder / "secret.txt").write_text("not of the module")
    for name in ("CHANGELOG.md", "LICENSE"):
        (folder / name).write_text(CHANGELOG)
    shutil.copytree(CLIENT, folder / "client", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    project = folder / "client" / "pyproject.toml"
    project.write_text(re.sub("^version = .*", 'version = "1.2.0"', project.read_text(), flags=re.MULTILINE))
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(("version", "text"), [("1.2.0", "### Added\n\n- A thing.\n"), ("1.1.0", "- Another thing.\n")])
def test_the_notes_are_the_changelogs_section(version: str, text: str) -> None:
    assert release.notes(CHANGELOG, version) == text


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.3.0", "turn `## Unreleased` into `## 1.3.0"), ("v1.2.0", "looks like 1.2.3"), ("", "VERSION=1.2.3")],
)
def test_a_version_without_a_section_is_refused_with_what_to_do(version: str, words: str) -> None:
    with pytest.raises(ReleaseError, match=words.replace("(", r"\(")):
        release.notes(CHANGELOG, version)


def test_the_module_is_packed_alone_and_alike(checkout: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    packed = []
    for folder in folders:
        folder.mkdir()
        (checkout / "module" / "main.tf.json").write_text('{"not": "committed"}')
        packed.append(release.archive_module(checkout, "1.2.0", folder))
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with tarfile.open(packed[0]) as archive:
        root = "mlflow-google-cloud-1.2.0"
        files = {member.name for member in archive if member.isfile()}
        assert files == {
            f"{root}/{name}" for name in ("module/main.tf.json", "docs/deploy.md", "CHANGELOG.md", "LICENSE")
        }
        content = archive.extractfile(f"{root}/module/main.tf.json")
        assert content is not None
        assert content.read() == b"{}"


def test_what_the_modules_pages_point_to_is_packed_with_them() -> None:
    checkout = CLIENT.parent
    for page in (checkout / "module").rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s:]+)[^)]*\)", page.read_text()):
            assert (page.parent / link).resolve().relative_to(checkout).parts[0] in release.PACKED, f"{page}: {link}"


def test_a_checkout_without_the_module_says_so(checkout: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "rm", "-r", "--quiet", "module"], cwd=checkout, check=True)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message=gone"], cwd=checkout, check=True)
    with pytest.raises(ReleaseError, match=r"the module cannot be packed: .*module"):
        release.archive_module(checkout, "1.2.0", tmp_path)


def test_the_client_is_built_alike_and_says_what_an_index_wants(checkout: Path, tmp_path: Path) -> None:
    (checkout / "client" / "src" / "mlflow_google" / "not_committed.py").touch()
    wheel, source = release.build_client(checkout, "1.2.0", tmp_path / "first")
    again = release.build_client(checkout, "1.2.0", tmp_path / "second")
    assert [path.read_bytes() for path in (wheel, source)] == [path.read_bytes() for path in again]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = archive.read("mlflow_google-1.2.0.dist-info/METADATA")
    found = message_from_bytes(text)
    # https://packaging.python.org/en/latest/specifications/core-metadata/
    assert {name: found[name] for name in ("Name", "Version", "License-Expression", "Description-Content-Type")} == {
        "Name": "mlflow-google",
        "Version": "1.2.0",
        "License-Expression": "Apache-2.0",
        "Description-Content-Type": "text/markdown",
    }
    assert found["Requires-Python"] == ">=3.9"
    assert str(found.get_payload()).startswith("# mlflow-google")
    assert "mlflow_google-1.2.0.dist-info/licenses/LICENSE" in names
    assert {name.partition("/")[0] for name in names} == {"mlflow_google", "mlflow_google-1.2.0.dist-info"}
    assert not any("not_committed" in name or "__pycache__" in name for name in names)


def test_a_client_of_another_version_is_not_released(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r'client/pyproject.toml has version = "1.2.0": write "1.3.0"'):
        release.build_client(checkout, "1.3.0", tmp_path)


def test_the_sums_are_those_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    release.write_sums(tmp_path)
    release.write_sums(tmp_path)
    check = ["sha256sum", "--check", "--strict", release.SUMS]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.count(": OK") == 2
