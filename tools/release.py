"""Makes a release and publishes it: `make release VERSION=1.2.3` writes dist/, `make publish` also sends it out."""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from containers.engine import Engine, EngineError
from containers.images import build, build_release

CHECKOUT: Final = Path(__file__).parent.parent
NAME: Final = "mlflow-google-cloud"
SBOM_IN_IMAGE: Final = "/usr/share/sbom/image.cdx.json"
NOTES, SUMS, SBOM = "NOTES.md", "SHA256SUMS", "image.cdx.json"
PUBLISHERS: Final = ("cosign", "gh")
PACKED: Final = ("module", "docs", "CHANGELOG.md", "LICENSE")
"""What a caller of the module gets: the pages that the module's own point to come along."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")


class ReleaseError(Exception):
    """There is nothing to release; the message says what to do."""


def notes(changelog: str, version: str) -> str:
    """The changelog's section of a version, without its heading.

    Raises:
        ReleaseError: The version is none, or the changelog does not have it.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"a version looks like 1.2.3, not {version!r}: make release VERSION=1.2.3")
    found = re.search(rf"^## {re.escape(version)}( - \S+)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[2].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}: turn `## Unreleased` into `## {version} - DATE`")
    return found[2].strip() + "\n"


def archive_module(checkout: Path, version: str, folder: Path) -> Path:
    """Packs the committed Terraform module, the same bytes for the same commit.

    Raises:
        ReleaseError: git cannot; the message is its own.
    """
    archive = folder / f"{NAME}-module-{version}.tar.gz"
    command = ["git", "archive", f"--prefix={NAME}-{version}/", f"--output={archive}", "HEAD", *PACKED]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ReleaseError(f"the module cannot be packed: {done.stderr.strip()}")
    return archive


def build_client(checkout: Path, version: str, folder: Path) -> tuple[Path, Path]:
    """Builds the committed client package, the same bytes for the same commit.

    Returns:
        The wheel and the source distribution.

    Raises:
        ReleaseError: Its version is another one, or it cannot be built.
    """
    stated = tomllib.loads((checkout / "client" / "pyproject.toml").read_text())["project"]["version"]
    if stated != version:
        raise ReleaseError(f'client/pyproject.toml has version = "{stated}": write "{version}"')
    with tempfile.TemporaryDirectory() as clean:
        # What is not committed stays out; https://reproducible-builds.org/docs/source-date-epoch/
        committed = _output(checkout, "git", "log", "-1", "--format=%ct").strip()
        archive = Path(clean) / "client.tar"
        _output(checkout, "git", "archive", f"--output={archive}", "HEAD", "client", "LICENSE")
        _output(checkout, "tar", "--extract", f"--file={archive}", f"--directory={clean}")
        (Path(clean) / "LICENSE").replace(Path(clean) / "client" / "LICENSE")  # instead of a link to it
        command = [sys.executable, "-m", "uv", "build", "--quiet", f"--out-dir={folder}", str(Path(clean) / "client")]
        _output(checkout, *command, SOURCE_DATE_EPOCH=committed)
    (folder / ".gitignore").unlink(missing_ok=True)  # uv leaves it
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("mlflow_google-*.tar.gz")
    return wheel, source


def _output(folder: Path, *command: str, **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:3])} failed: {done.stderr.strip()}")
    return done.stdout


def write_sums(folder: Path) -> None:
    """Lists the digest of every file in a folder, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text("".join(lines))


def make(engine: Engine, reference: str, checkout: Path, version: str, folder: Path) -> None:
    """Writes a release into an empty folder: notes, module, client package, the image's SBOM, digests.

    Args:
        engine: Where the image is.
        reference: The image.
        checkout: A clone of this project.
        version: Such as 1.2.3.
        folder: It is emptied before.

    Raises:
        ReleaseError: There is nothing to release.
    """
    text = notes((checkout / "CHANGELOG.md").read_text(), version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / NOTES).write_text(text)
    archive_module(checkout, version, folder)
    build_client(checkout, version, folder)
    sbom = engine.run("run", "--rm", "--network=none", "--entrypoint=cat", reference, SBOM_IN_IMAGE)
    (folder / SBOM).write_text(sbom)
    write_sums(folder)


def publish(engine: Engine, reference: str, repository: str, version: str, folder: Path) -> None:
    """Pushes the image, signs it and its SBOM without a key, makes the release on GitHub, and uploads the client.

    The identity that signs is the workflow's: https://docs.sigstore.dev/cosign/signing/overview/. The index of Python's
    packages trusts the same one: https://docs.astral.sh/uv/guides/package/#publishing-your-package

    Raises:
        ReleaseError: A tool is missing, or one failed.
    """
    if absent := [name for name in PUBLISHERS if not shutil.which(name)]:
        raise ReleaseError(f"publishing needs {' and '.join(absent)}")
    image = f"{repository}@{engine.push(reference, f'{repository}:{version}')}"
    with (folder / NOTES).open("a") as file:
        file.write(f"\nImage: `{image}`\n")
    write_sums(folder)
    bundle = folder / f"{SUMS}.sigstore.json"
    _run("cosign", "sign", "--yes", image)
    _run("cosign", "attest", "--yes", "--type=cyclonedx", f"--predicate={folder / SBOM}", image)
    _run("cosign", "sign-blob", "--yes", f"--bundle={bundle}", str(folder / SUMS))
    files = [str(path) for path in sorted(folder.iterdir()) if path.name != NOTES]
    tag = f"v{version}"
    _run("gh", "release", "create", tag, "--verify-tag", f"--title={tag}", f"--notes-file={folder / NOTES}", *files)
    client = [path for path in files if Path(path).name.startswith("mlflow_google-")]
    _run(sys.executable, "-m", "uv", "publish", "--trusted-publishing=always", *client)


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=CHECKOUT, check=False).returncode:  # noqa: S603
        raise ReleaseError(f"{' '.join(command[:2])} failed")


def main() -> int:
    """Makes the release, and with `--publish` publishes it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 1.2.3; CHANGELOG.md has a section of it")
    parser.add_argument("--publish", metavar="REPOSITORY", help="push the image there, such as ghcr.io/OWNER/NAME")
    arguments = parser.parse_args()
    folder = CHECKOUT / "dist"
    try:
        engine = Engine()
        notes((CHECKOUT / "CHANGELOG.md").read_text(), arguments.version)  # before the image is built
        # What is published comes from the pinned bases alone; a trial here takes what there is.
        reference = build_release(engine) if arguments.publish else build(engine)
        make(engine, reference, CHECKOUT, arguments.version, folder)
        if arguments.publish:
            publish(engine, reference, arguments.publish, arguments.version, folder)
    except (EngineError, ReleaseError) as error:
        print(error, file=sys.stderr)
        return 1
    for path in sorted(folder.iterdir()):
        print(path.relative_to(CHECKOUT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
