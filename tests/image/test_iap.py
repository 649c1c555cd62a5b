"""Behind Identity-Aware Proxy nobody is anybody but by its assertion, for this service, signed by Google's key."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from containers.engine import HOST
from harness.load import API
from harness.service import SEARCH, USER, Platform, Service
from localcloud.machine.account_keys import AccountKeys
from localcloud.machine.background import serving
from localcloud.machine.iap import IdentityAwareProxy
from localcloud.resource import Cloud
from localcloud.store import Store
from tests.image.assertions import ACCEPTED, AUDIENCE, HEADER, REFUSED, public_key_as_secret, with_header

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import iap
from mlflow_cloudrun.identity import Asked, address, asked

if TYPE_CHECKING:
    from collections.abc import Generator

PROXY: dict[str, str] = dict.fromkeys(
    (
        *("OAUTH_PROXY_CONFIG", "OAUTH_PROXY_EMAILS", "OAUTH2_PROXY_REDIRECT_URL"),
        *("OAUTH2_PROXY_EMAIL_DOMAINS", "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES"),
    ),
    "",
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> IdentityAwareProxy:
    return IdentityAwareProxy(Cloud(Store(tmp_path_factory.mktemp("iap"))), AccountKeys())


class Google:
    """A server of keys, and how often it was asked."""

    def __init__(self, keys: dict[str, str]) -> None:
        self.keys, self.asked, self.away = keys, 0, False
        self.now = 1000.0

    def fetch(self, url: str) -> dict[str, str]:
        assert url == iap.GOOGLE_KEYS
        self.asked += 1
        if self.away:
            raise iap.requests.ConnectionError("no route to host")
        return dict(self.keys)

    def cache(self) -> iap.Keys:
        return iap.Keys(iap.GOOGLE_KEYS, fetch=self.fetch, now=lambda: self.now)


@pytest.fixture
def google(proxy: IdentityAwareProxy) -> Google:
    return Google(proxy.public_keys())


async def send(gate: Any, assertions: list[str], path: str = "/x", **more: str) -> list[Any]:
    """What comes back; what reaches MLflow answers with whose request it was."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def answer(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in more.items()]
    headers += [(HEADER.lower().encode(), value.encode()) for value in assertions]
    asked.set(Asked(""))
    await gate({"type": "http", "method": "GET", "path": path, "headers": headers}, receive, answer)
    return sent


async def mlflow(scope: Any, _: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "by": asked.get().by, "to": address(scope["headers"])})


def gate(keys: iap.Keys) -> iap.Assertions:
    return iap.Assertions(mlflow, audience=AUDIENCE, keys=keys)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_prove_an_address_is_refused(proxy: IdentityAwareProxy, google: Google, kind: str) -> None:
    start, body = asyncio.run(send(gate(google.cache()), [REFUSED[kind](proxy)]))
    assert start["status"] == 401
    assert json.loads(body["body"])["error_code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_proves_an_address_is_taken_as_that(proxy: IdentityAwareProxy, google: Google, kind: str) -> None:
    (start,) = asyncio.run(send(gate(google.cache()), [ACCEPTED[kind](proxy)]))
    assert (start["status"], start["by"], start["to"]) == (200, USER, USER)


def test_no_other_header_says_who_it_is_and_two_assertions_say_nothing(
    proxy: IdentityAwareProxy, google: Google
) -> None:
    good = proxy.assertion(AUDIENCE, USER)
    lies = {"x-goog-authenticated-user-email": "accounts.google.com:eve@example.com"}
    lies["x-forwarded-email"] = "eve@example.com"
    keys = google.cache()

    async def ask() -> None:
        (start,) = await send(gate(keys), [good], **lies)
        assert (start["by"], start["to"]) == (USER, USER)
        for assertions in ([], [good, good], [good, "x"]):
            assert (await send(gate(keys), assertions, **lies))[0]["status"] == 401
        assert (await send(gate(keys), [], path="/health"))[0]["status"] == 200  # start.sh's own
        assert (await send(gate(keys), ["x"], path="/health"))[0]["status"] == 401

    asyncio.run(ask())


def test_keys_are_fetched_once_and_an_unknown_one_does_not_hammer(proxy: IdentityAwareProxy, google: Google) -> None:
    keys = google.cache()
    good, unknown = proxy.assertion(AUDIENCE, USER), with_header(kid="unknown")(proxy)

    async def ask() -> None:
        answers = await asyncio.gather(*(send(gate(keys), [good]) for _ in range(20)))
        assert {start["status"] for start, *_ in answers} == {200}
        assert google.asked == 1
        for _ in range(20):
            assert (await send(gate(keys), [unknown]))[0]["status"] == 401
        assert google.asked == 1  # they were fetched a moment ago
        google.now += iap.RETRY_S
        await asyncio.gather(*(send(gate(keys), [unknown]) for _ in range(20)))
        assert google.asked == 2

    asyncio.run(ask())


def test_a_new_key_is_learned_and_a_withdrawn_one_forgotten(proxy: IdentityAwareProxy, google: Google) -> None:
    keys, old = google.cache(), proxy.assertion(AUDIENCE, USER)

    async def ask() -> None:
        assert (await send(gate(keys), [old]))[0]["status"] == 200
        successor = IdentityAwareProxy(proxy._cloud, AccountKeys())
        google.keys = successor.public_keys()
        google.now += iap.RETRY_S
        assert (await send(gate(keys), [successor.assertion(AUDIENCE, USER)]))[0]["status"] == 200
        assert (await send(gate(keys), [old]))[0]["status"] == 401

    asyncio.run(ask())


def test_keys_outlive_their_server_for_a_day_and_the_log_says_so_once(
    proxy: IdentityAwareProxy, google: Google, caplog: pytest.LogCaptureFixture
) -> None:
    keys, good = google.cache(), proxy.assertion(AUDIENCE, USER)
    caplog.set_level(logging.INFO, "iap")

    async def status() -> int:
        answer = (await send(gate(keys), [good]))[0]["status"]
        for _ in range(3):  # the keys are renewed beside the request
            await asyncio.sleep(0)
        if keys._renewal:
            await keys._renewal
        return answer

    async def ask() -> None:
        google.away = True
        assert await status() == 503
        google.away = False
        google.now += iap.RETRY_S
        assert await status() == 200
        google.away = True
        for _ in range(23):
            google.now += iap.RENEW_S
            assert await status() == 200
        google.now += 2 * iap.RENEW_S
        assert await status() == 503
        google.away = False
        google.now += iap.RETRY_S
        assert await status() == 200

    asyncio.run(ask())
    said = [record.message for record in caplog.records]
    assert [line.partition(": ")[0] for line in said] == [
        f"The keys of IAP cannot be fetched from {iap.GOOGLE_KEYS}, nobody gets in",
        "The keys of IAP are fetched again",
        f"The keys of IAP cannot be fetched from {iap.GOOGLE_KEYS}, those that are known are used for 23 h",
        "The keys of IAP are fetched again",
    ]


@pytest.fixture(scope="module")
def behind(platform: Platform, migrated: str, proxy: IdentityAwareProxy) -> Generator[Service]:
    """The service, as it runs behind IAP."""
    application = web.Application()
    application.router.add_get("/keys", proxy.answer_keys)
    uri = platform.postgres.uri(platform.postgres.create(template=migrated))
    with serving(application, bridge=platform.engine.bridge) as port:
        variables = {"IAP_AUDIENCE": AUDIENCE, "IAP_KEYS_URL": f"http://{HOST}:{port}/keys"}
        with platform.service(uri, **PROXY, **variables) as service:
            yield service


def call(service: Service, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
    """Returns status and body; a header may come twice."""
    connection = http.client.HTTPConnection(httpx.URL(service.url).netloc.decode(), timeout=60)
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_container_lets_in_whom_iap_names_and_nobody_else(behind: Service, proxy: IdentityAwareProxy) -> None:
    good = proxy.assertion(AUDIENCE, USER)
    for name in (HEADER, HEADER.lower(), HEADER.upper()):
        assert call(behind, "GET", SEARCH, (name, good))[0] == 200
    assert call(behind, "GET", SEARCH, (HEADER, good), ("Connection", HEADER))[0] == 200  # the edge drops it
    underscores = HEADER.replace("-", "_")
    lie = ("X-Goog-Authenticated-User-Email", f"accounts.google.com:{USER}")
    forged = ("X-Forwarded-Email", USER)
    for headers in (
        (),
        (lie, forged),
        (("Authorization", f"Bearer {behind.token()}"),),  # what opens the service behind oauth2-proxy
        (("Authorization", f"Bearer {good}"),),
        ((underscores, good),),
        ((HEADER, good), (HEADER, good)),
        ((HEADER, good), (HEADER.lower(), "x")),
        ((HEADER, f"{good}, {good}"),),
        ((HEADER, public_key_as_secret(proxy)),),
        ((HEADER, proxy.assertion(AUDIENCE.replace("mlflow", "other"), USER)),),
    ):
        status, body = call(behind, "GET", SEARCH, *headers)
        assert (status, "experiment_id" in body) == (401, False), headers
    for path in ("/", "/health", "/version", "/page/session.js", "/static-files/x", "/graphql", "/oauth2/auth"):
        assert call(behind, "GET", path)[0] == 401, path
        assert call(behind, "GET", path, (HEADER, "x"))[0] in {202, 401}, path
    assert [call(behind, "GET", path) for path in ("/ready", "/ping")] == [(200, "OK")] * 2  # Cloud Run's probes


def test_the_page_signs_out_by_iap_and_the_log_says_who_asked(behind: Service, proxy: IdentityAwareProxy) -> None:
    headers = {HEADER: proxy.assertion(AUDIENCE, "Grace@Example.com")}
    page = behind.http.get("/", headers=headers)
    assert page.is_success
    assert "page/session.js" in page.text
    assert behind.http.get("/oauth2/auth", headers=headers).status_code == 202
    out = behind.http.get("/oauth2/sign_out?rd=%2F", headers=headers | {"Sec-Fetch-Site": "same-origin"})
    assert out.headers["location"] == "/?gcp-iap-mode=CLEAR_LOGIN_COOKIE"
    elsewhere = behind.http.get("/oauth2/sign_out", headers=headers | {"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    again = behind.http.get("/oauth2/start?rd=%2Fpage%2Fsigned-in.html", headers=headers)
    assert again.headers["location"] == "/page/signed-in.html"
    made = behind.http.post(f"{API}/experiments/create", headers=headers, json={"name": "by grace"}).json()
    found = behind.http.get(f"{API}/experiments/get", headers=headers, params=made).json()["experiment"]
    assert {"key": "mlflow.user", "value": "grace@example.com"} in found["tags"]
    entries = [json.loads(line) for line in behind.container.logs().splitlines()]
    writes = [entry for entry in entries if entry.get("write")]
    assert {entry["user"] for entry in writes} == {"grace@example.com"}
    assert any(entry["logger"] == "iap" and entry["severity"] == "WARNING" for entry in entries)
    assert "eyJ" not in behind.container.logs()


def test_oauth2_proxy_does_not_run(behind: Service) -> None:
    processes = behind.container.execute("bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "haproxy" in processes
    assert "oauth2-proxy --config" not in processes
