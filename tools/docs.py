"""Writes what is generated in the READMEs, docs/ and environments/example.toml; `--check` only names what drifted."""

import argparse
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from harness.attacks import ACCEPTED, REFUSED, WITHOUT_CREDENTIAL
from stacks import bindings
from stacks.settings.derived import FLAGS
from stacks.settings.explain import SETTINGS_PAGE
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.settings.problems import SettingsError
from tools import alerts_page, faults, local_cloud_page, overview, routes_page, toml
from tools.sizing import page as sizing_page

sys.path.insert(0, str(Path(__file__).parents[1] / "image"))
from mlflow_cloudrun import limits

CHECKOUT: Final = Path(__file__).parent.parent
README: Final = "README.md"
IMAGE_README: Final = "image/README.md"
ARCHITECTURE: Final = "docs/architecture.md"
CHANGING: Final = "docs/changing.md"
DEPLOY: Final = "docs/deploy.md"
ROUTES: Final = "docs/routes.md"
RUNBOOK: Final = "docs/runbook.md"
SECURITY: Final = "docs/security.md"
SIZING: Final = "docs/sizing.md"
LOCAL_CLOUD: Final = "docs/local-cloud.md"
EXAMPLE: Final = "environments/example.toml"

_TARGET: Final = re.compile(r"^([a-z-]+):.*? #([#-]) (.+)$", re.MULTILINE)
"""A target, whom it is for (`#`: everybody, `-`: who changes this project), and what it does."""
_EXAMPLE_HEAD: Final = """\
# Every field of a settings file. Generated from stacks/settings/ by `make docs`: do not edit it here.
# Copy it to environments/NAME.toml. A field that stays commented out has the default of docs/settings.md.
"""
_FROM_THE_START: Final = ("profile", "oauth_client_id", "email_domains")
"""Fields without which nobody gets far, beside those that are required."""

_COMMENTED_OUT: Final = re.compile(r"^#(?=\w+ = )", re.MULTILINE)
# What people get wrong first: a key in the wrong place, everybody let in, memory without CPU.
_BAD_SETTINGS: Final = """\
profile = "dev"
region = "europe-west1-b"
tier = "db-g1-small"
[project]
id = "acme-ml-dev"
number = "123456789012"
[service]
image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:latest"
memory = "8Gi"
[access]
oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
email_domains = ["gmail.com"]
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of a file that is generated.

    Attributes:
        file: The file, relative to the checkout.
        name: The name between the markers in the file; None when all of the file is generated.
        text: What belongs there.
    """

    file: str
    name: str | None
    text: str

    def __str__(self) -> str:
        """The part as a person finds it."""
        return f"{self.file}: {self.name}" if self.name else self.file

    def put_into(self, content: str) -> str:
        """Returns a file's content with this part in its place.

        Raises:
            ValueError: The content does not have the part's two markers, once each.
        """
        if self.name is None:
            return self.text
        begin, end = f"<!-- begin {self.name} -->", f"<!-- end {self.name} -->"
        if (content.count(begin), content.count(end)) != (1, 1):
            raise ValueError(f"{self.file} needs the lines {begin} and {end}, once each")
        before, rest = content.split(begin)
        _, after = rest.split(end)
        return f"{before}{begin}\n{self.text}\n{end}{after}"


def generate() -> list[Part]:
    """Makes every generated part from the model, the Makefile and the synthesized documents."""
    example = _example()
    demo = (CHECKOUT / "environments" / "demo.toml").read_text()
    printed, _ = _synthesize(demo)
    _, documents = _synthesize(all_fields(example))
    bootstrap, tracking = documents["bootstrap"], documents["tracking"]
    makefile = (CHECKOUT / "Makefile").read_text()
    contents = {
        README: {
            "calls": overview.calls(tracking),
            "synth": _fenced("\n".join(printed)),
        },
        CHANGING: {"targets": _target_table(makefile, "#"), "developer-targets": _target_table(makefile, "-")},
        SETTINGS_PAGE: {"settings": _settings_table(), "errors": _fenced(_errors(_BAD_SETTINGS))},
        ARCHITECTURE: {
            "diagram": overview.diagram(tracking),
            "bootstrap": overview.resource_table(bootstrap),
            "tracking": overview.resource_table(tracking),
            "roles": overview.role_table(tracking),
            "decisions": _decisions(),
        },
        ROUTES: {
            "features": routes_page.feature_table(),
            "graphql": routes_page.graphql_table(),
            "routes": routes_page.route_table(),
        },
        RUNBOOK: {"alerts": alerts_page.table()},
        SIZING: {
            "assumptions": sizing_page.assumptions(),
            "examples": sizing_page.examples(),
            "instances": sizing_page.instances(),
        },
        SECURITY: {"gate": _gate_table()},
        LOCAL_CLOUD: {
            "resources": local_cloud_page.resource_table(),
            "parts": local_cloud_page.part_table(CHECKOUT / "localcloud"),
            "metrics": local_cloud_page.metric_table(),
        },
        IMAGE_README: {"faults": faults.table(CHECKOUT / "tests" / "image"), "limits": limits.table()},
    }
    return [
        *(Part(file=file, name=name, text=text) for file, parts in contents.items() for name, text in parts.items()),
        Part(file=EXAMPLE, name=None, text=example),
    ]


def drifted(parts: list[Part], checkout: Path) -> list[Part]:
    """The parts that are not what the files of a checkout hold."""
    return [part for part in parts if part.put_into(content := _content(checkout / part.file)) != content]


def write(parts: list[Part], checkout: Path) -> None:
    """Puts parts into the files of a checkout."""
    for part in parts:
        file = checkout / part.file
        file.write_text(part.put_into(_content(file)))


def _content(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _synthesize(settings: str) -> tuple[list[str], dict[str, overview.Block]]:
    """Returns the output of `make synth` for a settings file, and the document of each stack by its name."""
    bindings.install(os.environ)
    from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        made = synthesize(_load(settings), environment="example", output=output)
        printed = [f"cdktf.out/{one.path.relative_to(output)}  {one.resource_count} resources" for one in made]
        return printed, {one.path.parent.name: json.loads(one.path.read_text()) for one in made}


def _load(settings: str) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dev.toml"
        file.write_text(settings)
        try:
            return load(file, {})
        except SettingsError as error:
            raise SettingsError(f"environments/{file.name}", error.problems) from None


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Every field of the settings, with the section it stands in (empty at the top)."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from ((name, key, inner) for key, inner in section.model_fields.items())
        else:
            yield "", name, field


def _settings_table() -> str:
    rows = ["| field | default | what it is |", "| --- | --- | --- |"]
    for section, key, field in _fields():
        name = f"{section}.{key}" if section else key
        rows.append(f"| `{name}` | {_default(section, key, field)} | {field.description} |")
    return "\n".join(rows)


def _default(section: str, key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    path, plain = f"{section}.{key}", field.get_default(call_default_factory=True)
    dev, prod = (f"`{toml.value(default)}`" for default in FLAGS.get(path, (plain, plain)))
    return f"{dev}; prod: {prod}" if path in FLAGS else dev


def _example() -> str:
    lines = [_EXAMPLE_HEAD]
    current = ""
    for section, key, field in _fields():
        if section != current:
            lines.append(f"[{section}]")
            current = section
        mark = "" if field.is_required() or key in _FROM_THE_START else "#"
        lines.append(f"# {field.description}\n{mark}{key} = {toml.value(_example_value(section, key, field))}\n")
    return "\n".join(lines)


def all_fields(example: str) -> str:
    """The text of environments/example.toml with no field commented out."""
    return _COMMENTED_OUT.sub("", example)


def _example_value(section: str, key: str, field: FieldInfo) -> object:
    if (section, key) == ("", "profile"):
        return "prod"
    if field.examples:
        return field.examples[0]
    plain = field.get_default(call_default_factory=True)
    return FLAGS.get(f"{section}.{key}", (plain, plain))[1]


def _target_table(makefile: str, mark: str) -> str:
    rows = (f"| `make {name}` | {what} |" for name, marked, what in _TARGET.findall(makefile) if marked == mark)
    return "\n".join(("| command | what it does |", "| --- | --- |", *rows))


def _decisions() -> str:
    """A list of the decisions by number; the first line of each file is its number and title."""
    files = sorted((CHECKOUT / "docs" / "adr").glob("*.md"))
    titles = (file.read_text().partition("\n")[0].removeprefix("# ").partition(". ") for file in files)
    return "\n".join(
        f"{number}. [{title}](adr/{file.name})" for file, (number, _, title) in zip(files, titles, strict=True)
    )


def _gate_table() -> str:
    """Returns the table of the image's answers, made from the lists that its tests use."""
    ways: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for method, path, headers, status in WITHOUT_CREDENTIAL:
        given = ", ".join(f"{name}: {value}" for name, value in headers.items())
        ways[path.partition("?")[0], status].append(f"`{given or method}`")
    rows = [f"| `{path}` without a credential: {', '.join(way)} | {status} |" for (path, status), way in ways.items()]
    rows += [f"| a token: {', '.join(kinds)} | {status} |" for kinds, status in ((REFUSED, 403), (ACCEPTED, 200))]
    return "\n".join(("| call | answer |", "| --- | --- |", *rows))


def _errors(settings: str) -> str:
    """Returns the output for a settings file that cannot be used."""
    try:
        _load(settings)
    except SettingsError as error:
        return str(error)
    raise ValueError("the settings that should be refused are accepted: change them in tools/docs.py")


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def main() -> int:
    """Rewrites what drifted, or with `--check` names it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 when something drifted")
    return refresh(generate(), check=parser.parse_args().check, target="docs")


def refresh(parts: list[Part], *, check: bool, target: str) -> int:
    """Rewrites the parts that drifted, or only names them, with the make target that would; returns the exit status."""
    stale = drifted(parts, CHECKOUT)
    for part in stale:
        print(f"{part} {f'is out of date: run `make {target}`' if check else 'is rewritten'}")
    if not check:
        write(stale, CHECKOUT)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
