"""Webhooks: with a key they work across restarts and reach nothing private; without one they are off everywhere."""

import base64
import hashlib
import hmac
import secrets
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import page, webhooks
from mlflow_cloudrun.settings import WEBHOOK_KEY, WEBHOOKS

from containers.engine import HOST
from harness.load import API
from harness.service import Platform, Service
from harness.waiting import wait_for
from localcloud.machine.background import serving

KEY, OTHER_KEY = (base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
SECRET = "signs-what-is-sent"  # noqa: S105
CREATED = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
# Switches MLflow's own guard off, behind the check of the environment: here, every receiver is private.
NO_GUARD = (
    "import os, sys; 'mlflow_cloudrun' in sys.orig_argv and os.environ.update("
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS='true', MLFLOW_WEBHOOK_ALLOWED_SCHEMES='http', "
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES='0')\n"
)
SITE_PACKAGES = "/opt/mlflow/lib/python3.13/site-packages"
LARGE = 64 * 1024 * 1024


@dataclass
class Receiver:
    """Who gets what the webhooks send."""

    url: str = ""
    got: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list[tuple[str, bytes, dict[str, str]]])

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Notes a call and answers as its path says."""
        self.got.append((request.path, await request.read(), dict(request.headers)))
        if request.path == "/redirects":
            raise web.HTTPTemporaryRedirect("/redirected")
        if request.path != "/large":
            return web.Response(text="taken")
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(LARGE // 65536):
            await answer.write(bytes(65536))
        return answer

    def signed(self, number: int) -> bool:
        """Tells whether a call has the signature of the secret."""
        _, body, headers = self.got[number]
        text = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.{body.decode()}"
        digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
        return headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.fixture
def receiver(platform: Platform) -> Generator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.take)
    with serving(application, bridge=platform.engine.bridge) as port:
        made.url = f"http://{HOST}:{port}"
        yield made


@contextmanager
def without_guard(platform: Platform, folder: Path, database: str, key: str) -> Generator[Service]:
    """Runs the service with a key, and receivers at private addresses."""
    (folder / "no_guard.pth").write_text(NO_GUARD)
    spec = platform.spec(platform.postgres.uri(database), **{WEBHOOKS: "true", WEBHOOK_KEY: key})
    mounts = {**spec.mounts, folder / "no_guard.pth": f"{SITE_PACKAGES}/no_guard.pth"}
    with platform.running(replace(spec, mounts=mounts)) as container:
        service = Service(container, platform.google.identity)
        service.wait_until_ready()
        yield service


def call(service: Service, method: str, path: str, **body: object) -> httpx.Response:
    return service.http.request(method, f"{API}/{path}", json=body, headers=service.bearer())


def create(service: Service, name: str, url: str) -> Any:
    """Makes a webhook for new models; returns the answer."""
    return call(service, "POST", "webhooks", name=name, url=url, events=CREATED, secret=SECRET)


def test_webhooks_are_signed_and_delivered_across_restarts(
    platform: Platform, database: str, receiver: Receiver, tmp_path: Path
) -> None:
    with without_guard(platform, tmp_path, database, KEY) as service:
        made = create(service, "deploys", f"{receiver.url}/taken")
        assert made.is_success, made.text
        webhook = made.json()["webhook"]["webhook_id"]
        for number, path in enumerate(("redirects", "large")):
            other = create(service, path, f"{receiver.url}/{path}").json()["webhook"]["webhook_id"]
            result = call(service, "POST", f"webhooks/{other}/test").json()["result"]
            assert result["success"], result
            assert len(result["response_body"]) <= webhooks.LONGEST_ANSWER
            assert receiver.got[number][0] == f"/{path}"
            assert call(service, "DELETE", f"webhooks/{other}").is_success
        receiver.got.clear()
        assert call(service, "POST", "registered-models/create", name="first").is_success
        wait_for(lambda: receiver.got, "the first delivery")
    with without_guard(platform, tmp_path, database, KEY) as service:
        assert [found["webhook_id"] for found in call(service, "GET", "webhooks").json()["webhooks"]] == [webhook]
        assert call(service, "POST", "registered-models/create", name="second").is_success
        wait_for(lambda: len(receiver.got) > 1, "the delivery after a restart")
        log = service.container.logs()
    assert [path for path, _, _ in receiver.got] == ["/taken", "/taken"]
    assert [receiver.signed(number) for number in range(2)] == [True, True]
    assert KEY not in log
    assert SECRET not in log
    with without_guard(platform, tmp_path, database, OTHER_KEY) as service:
        assert [found["webhook_id"] for found in call(service, "GET", "webhooks").json()["webhooks"]] == [webhook]
        result = call(service, "POST", f"webhooks/{webhook}/test").json()["result"]
        assert "stored under another key" in result["error_message"]
        assert call(service, "DELETE", f"webhooks/{webhook}").is_success
    assert len(receiver.got) == 2


def test_with_a_key_no_private_receiver_is_taken_and_nothing_says_that_webhooks_are_off(
    platform: Platform, database: str, receiver: Receiver
) -> None:
    port = httpx.URL(receiver.url).port
    private = [
        "https://169.254.169.254/computeMetadata/v1/",
        "https://metadata.google.internal/",
        f"https://{HOST}:{port}/",
        f"https://10.0.2.2:{port}/",
        "https://127.0.0.1:8080/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd20:ce::254]/",
        "https://2130706433/",
        "https://0/",
        "https://user@127.0.0.1/",
        f"http://{HOST}:{port}/",
        "file:///etc/passwd",
        "https:///",
    ]
    with platform.service(platform.postgres.uri(database), **{WEBHOOKS: "true", WEBHOOK_KEY: KEY}) as service:
        answers = {url: create(service, "x", url).status_code for url in private}
        assert set(answers.values()) == {400}, answers
        assert call(service, "GET", "webhooks").json().get("webhooks", []) == []
        assert "Webhooks" not in service.http.get("/page/off.html", headers=service.bearer()).text
        assert "webhooks" not in service.http.get("/page/features.css", headers=service.bearer()).text
    assert receiver.got == []


def test_a_name_that_becomes_private_after_the_check_is_not_reached(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = httpx.URL(receiver.url).port
    asked: list[object] = []
    resolve = socket.getaddrinfo

    def rebinding(host: object, *arguments: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(Exception, match=r"127\.0\.0\.1 is not a public IP address"):
        webhooks.bounded_session().post(f"http://receiver.example:{port}/", data=b"x", timeout=5)
    assert asked == ["receiver.example"]
    assert receiver.got == []


def test_where_they_are_off_the_page_hides_them_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WEBHOOKS, raising=False)
    made = page.Page(lambda *_: None)  # pyright: ignore[reportArgumentType]
    assert b"#/settings/webhooks" in made.files["/page/features.css"][0]
    assert b"service.webhooks" in made.files["/page/off.html"][0]
