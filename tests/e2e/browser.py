"""Chromium, driven as a person would; what its console says is kept."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, ConsoleMessage, Page

FLAGS = [
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = {"width": 1280, "height": 800}
SESSION_COOKIE = "__Host-mlflow"
# MLflow's page asks for a sign-in of MLflow's own, an assistant and a prompt lab, which it has not here; and a
# layout that takes two frames is no error: https://developer.mozilla.org/docs/Web/API/ResizeObserver#observation_errors
_EXPECTED_ERRORS = (
    "/ajax-api/2.0/mlflow/users/current",
    "/ajax-api/3.0/mlflow/assistant/",
    "/ajax-api/2.0/mlflow/gateway-proxy",
    "ResizeObserver loop",
)


@dataclass
class Visitor:
    """Somebody at a browser of their own.

    Attributes:
        errors: What the console showed in red, and exceptions of the page.
    """

    page: Page
    context: BrowserContext
    errors: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        told = f"{message.text} ({message.location['url']})"
        if message.type == "error" and not any(expected in told for expected in _EXPECTED_ERRORS):
            self.errors.append(told)

    def sign_in(self, url: str, email: str) -> None:
        """Opens the service, is sent to the sign-in page, and signs in."""
        self.page.goto(url)
        self.page.get_by_label("E-mail").fill(email)
        with self.page.expect_navigation(url=f"{url}/**"):
            self.page.get_by_role("button", name="Next").click()

    def photograph(self, path: Path) -> None:
        """Keeps a picture of the page, in 256 colours."""
        shown = Image.open(BytesIO(self.page.screenshot(animations="disabled"))).convert("RGB")
        path.parent.mkdir(parents=True, exist_ok=True)
        shown.quantize(256).save(path, optimize=True)

    def cookie(self) -> dict[str, object] | None:
        """The session's cookie, if there is one."""
        return next((dict(cookie) for cookie in self.context.cookies() if cookie.get("name") == SESSION_COOKIE), None)


@contextmanager
def visiting(*flags: str) -> Generator[Visitor]:
    """Opens a browser for as long as the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS, *flags])
        try:
            context = browser.new_context(viewport=SIZE)
            yield Visitor(context.new_page(), context)
        finally:
            browser.close()
