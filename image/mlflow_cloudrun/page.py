"""Puts this image's own scripts into MLflow's page, and says what pages may load and run.

A browser obeys the policy that comes with an answer. MLflow's page runs the scripts of this host alone. No other answer
of MLflow is a page: opened as one (an artifact, say), it runs nothing and reads nothing.
https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
"""

from html import escape
from pathlib import Path

from mlflow_cloudrun.features import features_here
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.routes import WHO_DECIDES, who_decides
from mlflow_cloudrun.settings import WEBHOOKS

FOLDER = Path(__file__).parents[1] / "page"
# Their place in the URL, and what they are. sign-in.html is sent by the edge (haproxy.cfg).
FILES = {
    "artifacts.js": b"text/javascript",
    "features.css": b"text/css",
    "frame.html": b"text/html; charset=utf-8",
    "session.css": b"text/css",
    "session.js": b"text/javascript",
    "signed-in.html": b"text/html; charset=utf-8",
    "signed-in.js": b"text/javascript",
}
WITHOUT_KEYS = "without-keys.css"  # what features.css hides besides, where webhooks are off
OFF_PAGE = "off.html"  # what features.css hides and routes.py refuses; session.js has the link to it
# They come before MLflow's own script, which is deferred: what they wrap must be wrapped when it starts.
MARKER = b"</title>"
TAGS = (
    b'<link href="page/features.css" rel="stylesheet"><link href="page/session.css" rel="stylesheet">'
    b'<script src="page/session.js"></script><script src="page/artifacts.js"></script>'
)
# Plotly compiles its WebGL charts (unsafe-eval), styles are inline, pictures and workers are made in the page (data:,
# blob:), maps have their tiles from OpenStreetMap, and a help text has a video at mlflow.org.
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob: https://*.tile.openstreetmap.org; font-src 'self' data:; "
    b"media-src 'self' data: blob: https://mlflow.org; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    b"frame-src 'self' blob:; manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
# HTML artifacts, in an origin of their own that has no cookie, no storage and no network. MLflow's log_figure writes
# Plotly's charts with the script at cdn.plot.ly: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html
FRAME_POLICY = (
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' https://cdn.plot.ly; "
    b"style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'self'"
)
OTHER_POLICY = b"sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def policy(path: str) -> bytes:
    """Returns the content security policy of what is at a path; a worker obeys the one that its script came with."""
    if path == "/page/frame.html":
        return FRAME_POLICY
    if path == "/" or path.startswith(("/page/", "/static-files/")):
        return PAGE_POLICY
    return OTHER_POLICY


def what_is_off() -> str:
    """Returns the page that says what of MLflow this deployment does not do, why, and who can change it."""
    off = [feature for feature in features_here() if not feature.on]
    whys = [f"{feature.why}. {who_decides(feature)}" if feature.switch else feature.why for feature in off]
    rows = "".join(
        f"<dt>{escape(feature.name)}</dt><dd>{escape(why)}</dd>" for feature, why in zip(off, whys, strict=True)
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Off in this deployment</title>'
        "<style>body { font: 16px/24px system-ui, sans-serif; max-width: 48em; margin: 48px auto }"
        "dt { font-weight: 600 }</style><h1>Off in this deployment</h1>"
        "<p>MLflow's page does not show, and its server refuses:</p>"
        f"<dl>{rows}</dl><p>{escape(WHO_DECIDES)}</p></html>"
    )


class Page:
    """ASGI middleware: serves the files of `image/page`, names them in MLflow's page, sends policies."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.files = {f"/page/{name}": ((FOLDER / name).read_bytes(), kind) for name, kind in FILES.items()}
        if any(feature.switch == WEBHOOKS and not feature.on for feature in features_here()):
            style, kind = self.files["/page/features.css"]
            self.files["/page/features.css"] = (style + (FOLDER / WITHOUT_KEYS).read_bytes(), kind)
        self.files[f"/page/{OFF_PAGE}"] = (what_is_off().encode(), b"text/html; charset=utf-8")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers for its own files, and passes everything else on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), (b"content-security-policy", policy(scope["path"]))]
                message = {**message, "headers": headers}
            await send(message)

        if scope["path"] in self.files and scope["method"] in ("GET", "HEAD"):
            body, kind = self.files[scope["path"]]
            await answer(guarded, 200, [(b"content-type", kind), (b"x-content-type-options", b"nosniff")], body)
        elif scope["path"] == "/":
            await self.index(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    async def index(self, scope: Message, receive: Receive, send: Send) -> None:
        """Names the scripts in MLflow's page. It is never half an answer, nor one that the browser has already."""
        conditions = (b"if-none-match", b"if-modified-since", b"if-range", b"range")
        scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in conditions]}
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    of_mlflow = (b"content-length", b"etag", b"last-modified", b"accept-ranges")
                    headers = [(name, value) for name, value in start["headers"] if name.lower() not in of_mlflow]
                    await answer(send, start["status"], headers, body.replace(MARKER, MARKER + TAGS, 1))

        await self.app(scope, receive, collect)


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Sends a whole answer; the browser asks again the next time."""
    headers = [(name, value) for name, value in headers if name != b"cache-control"]
    headers += [(b"cache-control", b"no-cache"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
