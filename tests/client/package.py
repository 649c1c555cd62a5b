"""The client package as tests run it, and a source of tokens that fails as it is told."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from google.auth.exceptions import RefreshError, TransportError

from harness.google_endpoints import ROBOT
from localcloud.machine.identity import IdentityProvider

sys.path.insert(0, str(Path(__file__).parents[2] / "client" / "src"))
from mlflow_google.credentials import Token

CLIENT = Path(__file__).parents[2] / "client" / "src"

IDENTITY = IdentityProvider(clients=lambda _: None)
Variables = dict[str, str]


def run(variables: Variables, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "mlflow_google.cli", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


class Source:
    """Where tokens come from; counts how often it was asked.

    Attributes:
        lifetime_s: How long a token lives.
        away_until: Google does not answer before this time.
        refusal: What Google says instead of giving a token.
        slow_s: How long an answer takes.
    """

    def __init__(self, lifetime_s: float = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.away_until = 0.0
        self.refusal = ""
        self.slow_s = 0.0
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self, audience: str) -> Token:
        with self._lock:
            self.asked += 1
            number = self.asked
        time.sleep(self.slow_s)
        if time.monotonic() < self.away_until:
            raise TransportError("no route to host")
        if self.refusal:
            raise RefreshError(self.refusal)
        now = int(time.time())
        text = IDENTITY.token(audience=audience, email=ROBOT, iat=now, exp=int(now + self.lifetime_s), jti=str(number))
        return Token(text, "a test")
