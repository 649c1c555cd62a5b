"""A document, a local cloud and the real terraform between them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.terraform import ENGINE

if TYPE_CHECKING:
    from pathlib import Path

OAUTH_CLIENT_SECRET = "GOCSPX-not+a/real=secret"  # noqa: S105 - it opens nothing
_LIMIT = 120  # seconds; a run takes one or two


@dataclass
class Workspace:
    """One document's folder, and the environment that `localcloud.session` makes."""

    home: Path
    folder: Path
    environment: dict[str, str]
    log: list[str] = field(default_factory=list[str])

    def terraform(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs terraform; with `ok` it must succeed."""
        result = subprocess.run(
            [ENGINE, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
            executable=shutil.which(ENGINE, path=self.environment["PATH"]),
        )
        self.log.append(result.stdout + result.stderr)
        if ok:
            assert result.returncode == 0, f"terraform {' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
        return result

    def init(self) -> None:
        self.terraform("init", "-input=false", "-no-color")

    def apply(self, *options: str) -> None:
        self.terraform("apply", "-auto-approve", "-input=false", "-no-color", *options)

    def apply_fails(self, *options: str) -> str:
        """An apply that is refused; returns what Terraform says, in one line."""
        result = self.terraform("apply", "-auto-approve", "-input=false", "-no-color", *options, ok=False)
        assert result.returncode == 1, result.stdout
        return one_line(result.stderr)

    def destroy(self) -> None:
        self.terraform("destroy", "-auto-approve", "-input=false", "-no-color")

    def plans_nothing(self, *options: str) -> bool:
        """Whether a plan is empty."""
        result = self.terraform("plan", "-detailed-exitcode", "-input=false", "-no-color", *options, ok=False)
        assert result.returncode in (0, 2), result.stderr
        print(result.stdout)  # what is planned, where that is not nothing
        return result.returncode == 0

    def plan(self, *options: str) -> dict[str, Any]:
        """A plan as `terraform show -json` has it."""
        self.terraform("plan", "-input=false", "-no-color", "-out=plan.bin", *options)
        return json.loads(self.terraform("show", "-json", "plan.bin").stdout)

    def state(self) -> dict[str, Any]:
        """The state, as it is stored."""
        return json.loads(self.terraform("state", "pull").stdout)

    def addresses(self) -> list[str]:
        return self.terraform("state", "list").stdout.split()

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.folder / "cdk.tf.json").read_text())

    @document.setter
    def document(self, document: dict[str, Any]) -> None:
        (self.folder / "cdk.tf.json").write_text(
            json.dumps(document, indent=2)
        )  # Terraform shows the line that is wrong


def one_line(message: str) -> str:
    """Terraform's boxed, coloured and wrapped messages as plain words."""
    message = re.sub(r"\x1b\[\d*m", "", message)
    return " ".join(message.replace("│", " ").replace("╷", " ").replace("╵", " ").split())
