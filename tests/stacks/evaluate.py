"""Lets the real Terraform evaluate the expressions of a document; needs no provider."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness.terraform import ENGINE

_DEADLINE_SECONDS = 60


def evaluate(
    value: Any,
    *,
    locals_: dict[str, Any],
    stand_ins: dict[str, str] | None = None,
    variables: dict[str, tuple[str, Any]] | None = None,
) -> Any:
    """Evaluates a value of a document as Terraform would.

    Args:
        value: Any JSON value; its strings may hold `${...}`.
        locals_: The document's local values.
        stand_ins: Expressions that only an apply would know, each with a plain text instead.
        variables: The document's variables by name, each with its type and the value that a caller gives.

    Raises:
        AssertionError: Terraform refuses the expressions; its message is in the error.
    """
    declared = {name: {"type": kind} for name, (kind, _) in (variables or {}).items()}
    given = {name: plain for name, (_, plain) in (variables or {}).items()}
    root = {"locals": locals_, "output": {"value": {"value": value}}} | ({"variable": declared} if declared else {})
    text = json.dumps(root)
    for expression, plain in (stand_ins or {}).items():
        text = re.sub(re.escape(json.dumps(expression)[1:-1]), lambda _, p=plain: json.dumps(f'"{p}"')[1:-1], text)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf.json").write_text(text)
        (Path(folder) / "terraform.tfvars.json").write_text(json.dumps(given))
        _terraform(folder, "init", "-backend=false", "-input=false")
        _terraform(folder, "apply", "-auto-approve", "-input=false")
        return json.loads(_terraform(folder, "output", "-json", "value"))


def _terraform(folder: str, *arguments: str) -> str:
    done = subprocess.run(
        [ENGINE, *arguments, *([] if arguments[0] == "output" else ["-no-color"])],
        cwd=folder,
        env=os.environ | {"CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"terraform {arguments[0]}: {done.stdout}{done.stderr}"
    return done.stdout
