"""Writes the Terraform modules of module/ and the generated parts of their pages; `--check` only names what drifted."""

import argparse
import io
import json
import os
import re
import sys
import tarfile
from typing import Any, Final

from stacks import bindings
from stacks.addresses import MOVED
from tools import module_pages
from tools.docs import CHECKOUT, Part, refresh

FOLDER: Final = "module"
IAP: Final = "modules/iap/"
SERVICE: Final = "modules/service/"
INTERFACES: Final = "module/released"
RELEASED: Final = "tests/module/released"

_BY_HAND: Final = ("*.md", "*.tf", "*.hcl")

Documents = dict[str, dict[str, Any]]


def documents() -> Documents:
    """The modules' documents, generated now, by their path below module/."""
    bindings.install(os.environ)
    from stacks.module import module_files  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    return module_files()


def override() -> Part:
    """The file for newer providers, with which an apply runs a job and waits for it."""
    from stacks.module import WAITING, waiting  # noqa: PLC0415

    return Part(file=f"{FOLDER}/{WAITING}", name=None, text=_json(waiting()))


def renamed() -> list[Part]:
    """The pages, examples and tests of Terraform that name an address which has another name now, as they should be."""
    pages = [file for suffix in _BY_HAND for folder in (FOLDER, "docs") for file in (CHECKOUT / folder).rglob(suffix)]
    return [
        Part(file=str(file.relative_to(CHECKOUT)), name=None, text=_with_new_addresses(file.read_text()))
        for file in sorted(pages)
    ]


def _with_new_addresses(text: str) -> str:
    for old, new in MOVED.items():
        text = re.sub(rf"\b{re.escape(old)}\b", new, text)
    return text


def generate(made: Documents) -> list[Part]:
    """Makes every generated file and part."""
    return [
        *(Part(file=f"{FOLDER}/{path}", name=None, text=_json(document)) for path, document in made.items()),
        override(),
        *(
            Part(file=f"{FOLDER}/{page}", name=name, text=text)
            for page, parts in module_pages.contents(made, CHECKOUT / FOLDER).items()
            for name, text in parts.items()
        ),
    ]


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def interface(made: Documents) -> list[str]:
    """Returns the interface that callers use: addresses of resources, variables and outputs, with their modules."""
    return sorted(
        f"{path.rpartition('/')[0] or '.'} {address}"
        for path, document in made.items()
        for address in _addresses(document)
    )


def _addresses(document: dict[str, Any]) -> list[str]:
    return [
        *(f"{kind}.{name}" for kind, named in document.get("resource", {}).items() for name in named),
        *(f"var.{name}" for name in document.get("variable", {})),
        *(f"output.{name}" for name in document.get("output", {})),
    ]


def release(made: Documents, version: str) -> None:
    """Notes what later versions are held to: the interface, and the documents that the upgrade test begins with."""
    for file in (CHECKOUT / INTERFACES / f"{version}.txt", CHECKOUT / RELEASED / f"{version}.tar.xz"):
        file.parent.mkdir(exist_ok=True)
    (CHECKOUT / INTERFACES / f"{version}.txt").write_text("\n".join(interface(made)) + "\n")
    with tarfile.open(CHECKOUT / RELEASED / f"{version}.tar.xz", "w:xz") as archive:
        for path, document in sorted(made.items()):
            text = _json(document).encode()
            entry = tarfile.TarInfo(path)  # without an owner or a time: the same documents, the same bytes
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))


def main() -> int:
    """Rewrites what drifted, or with `--check` names it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 when something drifted")
    parser.add_argument("--release", metavar="VERSION", help="note what the version that is released now promises")
    options = parser.parse_args()
    status = refresh(renamed(), check=options.check, target="module")
    made = documents()
    if options.release:
        release(made, options.release)
    return refresh(generate(made), check=options.check, target="module") or status


if __name__ == "__main__":
    sys.exit(main())
