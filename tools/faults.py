"""The table of image/README.md: what breaks and what comes of it, as the `fault` markers of the image's tests say."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MARKER: Final = "pytest.mark.fault"
ALL_ARE_FAULTS: Final = "test_faults.py"


def table(folder: Path) -> str:
    """Makes the table from the tests of a folder, in their order.

    Raises:
        ValueError: A test of test_faults.py has no such marker, or a marker has not two strings.
    """
    rows = [row for file in sorted(folder.glob("test_*.py")) for row in _rows(file)]
    return "\n".join(["| what breaks | what comes of it |", "| --- | --- |", *rows])


def _rows(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        calls = [
            call for call in node.decorator_list if isinstance(call, ast.Call) and ast.unparse(call.func) == MARKER
        ]
        if file.name == ALL_ARE_FAULTS and not calls:
            raise ValueError(f"{file.name}: {node.name} needs @{MARKER}(what, outcome)")
        for call in calls:
            what, outcome = (str(ast.literal_eval(argument)) for argument in call.args)
            yield f"| {what} | {outcome} |"
