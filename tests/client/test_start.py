"""Many programs start at once, an import costs nothing, and a broken installation says so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from harness.google_endpoints import ROBOT
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.metadata import variables
from tests.client.package import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES, AT_A_TIME = 256, 20
ASK = """
import os, sys
from mlflow_google.tokens import Tokens
tokens, children = Tokens(), []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if tokens.get("https://mlflow.example.com").email else 1)
        finally:
            os._exit(2)
    children.append(pid)
print(sum(os.waitpid(pid, 0)[1] != 0 for pid in children))
"""


class Crowded:
    """A metadata server that answers 429 to those who come while many others ask."""

    def __init__(self) -> None:
        self.identity = IdentityProvider(clients=lambda _: None)
        self.inside = self.refused = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answers like Google's, to a bounded number at a time."""
        self.inside += 1
        try:
            if self.inside > AT_A_TIME:
                self.refused += 1
                return web.Response(status=429, headers={"Metadata-Flavor": "Google"})
            if request.path.endswith("/identity"):
                token = self.identity.token(audience=request.query["audience"], email=ROBOT)
                return web.Response(text=token, headers={"Metadata-Flavor": "Google"})
            if request.path.endswith("/default/"):
                found = {"email": ROBOT, "scopes": [], "aliases": ["default"]}
                return web.json_response(found, headers={"Metadata-Flavor": "Google"})
            return web.Response(text="demo-project", headers={"Metadata-Flavor": "Google"})
        finally:
            self.inside -= 1


@pytest.fixture
def crowded() -> Iterator[tuple[Crowded, dict[str, str]]]:
    server, application = Crowded(), web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    with serving(application, callers=EVERYBODY) as port:
        yield server, variables(f"127.0.0.1:{port}")


def python(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(CLIENT), "PATH": "", "HOME": "/nowhere", **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_all_of_256_programs_that_start_at_once_get_a_token(crowded: tuple[Crowded, dict[str, str]]) -> None:
    done = python(crowded[1], "-c", ASK, str(PROCESSES))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"


def test_what_mlflow_imports_loads_neither_requests_nor_googles_libraries() -> None:
    program = (
        "import sys, mlflow_google.plugins as p; p.GoogleAuthProvider().get_name(); p.GoogleRunContext().in_context()"
    )
    done = python({}, "-c", f"{program}; print(sorted({{'requests', 'google.auth', 'urllib3'}} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


def test_an_installation_without_googles_library_says_so(tmp_path: Path) -> None:
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "__init__.py").touch()
    done = python(
        {"PYTHONPATH": f"{tmp_path}:{CLIENT}"},
        "-c",
        "import mlflow_google.plugins as p; p.GoogleAuthProvider().get_auth()",
    )
    assert done.returncode == 1
    assert "google.auth" in done.stderr.splitlines()[-1]
