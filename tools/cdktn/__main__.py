"""Synthesizes with CDK Terrain, the maintained fork of CDKTF, and compares: the same sources, the same documents.

The sources are copied with their imports renamed, and run by a Python of their own (requirements.txt, locked). What the
fork's bindings are newer in must not matter: the documents are then validated by Terraform against the schema of the
fork's provider version too, which the local cloud reads out of those bindings.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from localcloud.session import session
from tools.docs import CHECKOUT

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
PYTHON: Final = CHECKOUT / ".cdktn"
SOURCES: Final = ("environments", "image/mlflow_cloudrun", "stacks", "tests/stacks/environments", "tools/cdktn")
RENAMES: Final = (
    (r"\bcdktf_cdktf_provider_google\b", "cdktn_provider_google"),
    (r"^(\s*(?:from|import)) cdktf\b", r"\1 cdktn"),
)
SETTINGS: Final = ("demo", "dev", "iap", "maximal", "mysql", "prod")


def prepare() -> Path:
    """Installs the fork, unless it is there; returns its Python."""
    python, stamp = PYTHON / "bin/python", PYTHON / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        print("[cdktn] installing CDK Terrain ...", file=sys.stderr)
        venv.create(PYTHON, clear=True)
        command = ("uv", "pip", "install", "--quiet", f"--python={python}", "--require-hashes", f"-r{REQUIREMENTS}")
        subprocess.run(command, check=True)  # noqa: S603 - our own command
        shutil.copy(REQUIREMENTS, stamp)
    return python


def copy_sources(folder: Path) -> None:
    """Copies the sources with CDK Terrain's imports instead of CDKTF's."""
    for name in SOURCES:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*.py"):
        text = path.read_text()
        for pattern, name in RENAMES:
            text = re.sub(pattern, name, text, flags=re.MULTILINE)
        path.write_text(text)


def synthesize(python: Path, sources: Path, output: Path) -> None:
    """Lets a Python write all documents of the sources.

    Raises:
        subprocess.CalledProcessError: It failed, and has said why.
    """
    folders = (sources / "environments", sources / "tests/stacks/environments")
    files = [path for folder in folders for name in SETTINGS if (path := folder / f"{name}.toml").exists()]
    command = [python, sources / "tools/cdktn/synthesize.py", output, *files]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(sources)})  # noqa: S603 - our own command


def documents(folder: Path) -> dict[str, str]:
    """Returns the documents below a folder by their path, without what is meant to differ."""
    found = sorted(path for pattern in ("cdk.tf.json", "module/**/*.json") for path in folder.rglob(pattern))
    return {str(path.relative_to(folder)): comparable(json.loads(path.read_text())) for path in found}


def comparable(document: dict[str, Any]) -> str:
    """Returns a document as text, without the synthesizer's notes (`//`) and the version of the bindings' provider."""
    for source in document.get("terraform", {}).get("required_providers", {}).values():
        source["source"] = source["source"].rpartition("/")[2]
        source.pop("version")
    return json.dumps(without_notes(document), indent=2, sort_keys=True)


def without_notes(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Returns JSON without the keys `//`."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {key: without_notes(item) for key, item in table.items() if key != "//"}
    return [without_notes(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def differences(ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    """Yields the lines in which the documents differ."""
    for path in sorted(ours.keys() | theirs.keys()):
        before, after = ours.get(path, ""), theirs.get(path, "")
        yield from difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"cdktf {path}", f"cdktn {path}", "", "", 2
        )


def validate(folder: Path, home: Path) -> None:
    """Lets Terraform hold the documents against the schema of the fork's provider version.

    Raises:
        subprocess.CalledProcessError: One is not valid; Terraform has said why.
    """
    packages = next(PYTHON.glob("lib/python3*/site-packages"))
    os.environ["LOCALCLOUD_BINDINGS"] = str(packages / "cdktn_provider_google")
    for document in sorted(
        path.parent for pattern in ("cdk.tf.json", "main.tf.json") for path in folder.rglob(pattern)
    ):
        with session(home, document) as environment:
            program = shutil.which("terraform", path=environment["PATH"]) or "terraform"
            for command in (("init", "-backend=false"), ("validate",)):
                run = (program, f"-chdir={document}", *command, "-no-color")
                subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        print(f"[cdktn] {document.relative_to(folder)}: valid")


def main() -> int:
    """Compares and validates; returns the exit status."""
    python = prepare()
    with tempfile.TemporaryDirectory() as scratch:
        sources, ours, theirs = (Path(scratch, name) for name in ("sources", "cdktf", "cdktn"))
        copy_sources(sources)
        synthesize(Path(sys.executable), CHECKOUT, ours)
        synthesize(python, sources, theirs)
        found = list(differences(documents(ours), documents(theirs)))
        print("\n".join(found) or f"[cdktn] {len(documents(ours))} documents, no difference")
        if not found:
            validate(theirs, Path(scratch, "cloud"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
