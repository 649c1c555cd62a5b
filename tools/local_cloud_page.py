"""The tables of docs/local-cloud.md: resource types, what each module leaves out, and metrics that are measured."""

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Final

from localcloud.machine.telemetry import MEASURED
from localcloud.services import RESOURCES
from localcloud.services.metrics import METRICS

_LEFT_OUT: Final = re.compile(r"\bLeft out: (.+?)\.(?= |$)")


def resource_table() -> str:
    """One row a type: what it is, the API that must be enabled, and the ids that it can be imported by.

    Raises:
        ValueError: A module has a type and does not say what it leaves out.
    """
    rows = ["| type | what it is | API | left out |", "| --- | --- | --- | --- |"]
    for resource in sorted(RESOURCES, key=lambda resource: resource.type):
        what = " ".join((inspect.getdoc(resource) or "").split("\n\n")[0].split())
        api = f"`{resource.api.name}`" if resource.api.name else "always on"
        file = Path(sys.modules[resource.__module__].__file__ or "")
        left_out = _left_out(file)
        if not left_out:
            raise ValueError(f"{file}: say `Left out: ...` in its first lines, for {resource.type}")
        rows.append(f"| `{resource.type}` | {what} | {api} | {left_out} |")
    return "\n".join(rows)


def metric_table() -> str:
    """One row for each of Google's metrics that is measured here, as Google describes it."""
    rows = ["| metric | kind and type | labels | of |", "| --- | --- | --- | --- |"]
    for name in sorted(MEASURED):
        metric = METRICS[name]
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        of = ", ".join(f"`{resource}`" for resource in metric.resources) or "any"
        rows.append(f"| `{name}` | {metric.kind} {metric.value_type} | {labels} | {of} |")
    return "\n".join(rows)


def part_table(localcloud: Path) -> str:
    """One row for each module of the machine that leaves something out.

    Args:
        localcloud: The folder of the local cloud.
    """
    files = sorted((localcloud / "machine").glob("*.py"))
    rows = [(file, left_out) for file in files if (left_out := _left_out(file))]
    return "\n".join(
        (
            "| part | left out |",
            "| --- | --- |",
            *(
                f"| {_paragraphs(file)[0].rstrip('.')} (`machine/{file.name}`) | {left_out} |"
                for file, left_out in rows
            ),
        )
    )


def _paragraphs(file: Path) -> list[str]:
    """The paragraphs of a module's docstring, a line each."""
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    return [" ".join(paragraph.split()) for paragraph in docstring.split("\n\n")]


def _left_out(file: Path) -> str:
    found = _LEFT_OUT.search(" ".join(_paragraphs(file)))
    return found[1] if found else ""
