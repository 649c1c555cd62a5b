"""What people and programs do with the service, each as a call that is permitted or not."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from harness.world import SEARCH
from tests.e2e.programs import run

if TYPE_CHECKING:
    from harness.world import World
    from tests.e2e.browser import Visitor

_API = "/api/2.0/mlflow"
_OF_THE_SERVER = {
    "search": ("GET", SEARCH),
    "log a metric": ("POST", f"{_API}/runs/log-metric"),
    "log a parameter": ("POST", f"{_API}/runs/log-parameter"),
    "register a model": ("POST", f"{_API}/registered-models/create"),
    "list artifacts": ("GET", "/ajax-api/2.0/mlflow/artifacts/list?run_id={run}"),
    "show an artifact": ("GET", "/get-artifact?path=notes.txt&run_uuid={run}"),
}
PAGE = "page"
UPLOAD, DOWNLOAD = "client's upload", "client's download"
OF_THE_SERVER = {*_OF_THE_SERVER, PAGE}
ALL = {*OF_THE_SERVER, UPLOAD, DOWNLOAD}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody with a run of train.py, signed in at a browser.

    Attributes:
        trained: What train.py printed.
    """

    world: World
    visitor: Visitor
    trained: dict[str, str]

    def failing(self) -> set[str]:
        """Makes every call; returns the names of those that fail."""
        with httpx.Client(base_url=self.world.url, headers=self.world.bearer(), timeout=60) as http:
            failed = {name for name in _OF_THE_SERVER if not self._call(http, name).is_success}
        answer = self.visitor.page.goto(self.world.url)
        if answer is None or answer.status != httpx.codes.OK:
            failed.add(PAGE)
        in_bucket = run(self.world, "use_bucket.py", self.trained["artifacts"])
        return failed | {name for name, permitted in in_bucket.items() if not permitted}

    def _call(self, http: httpx.Client, name: str) -> httpx.Response:
        method, path = _OF_THE_SERVER[name]
        new = secrets.token_hex(4)
        body = {"run_id": self.trained["run_id"], "key": new, "value": "1", "timestamp": 1, "step": 0, "name": new}
        url = path.format(run=self.trained["run_id"])
        return http.request(method, url, json=body if method == "POST" else None)
