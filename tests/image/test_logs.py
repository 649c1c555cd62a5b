"""Logs: JSON of both processes, with user, severity and trace, without noise and without secrets."""

import json
import re

from tests.image.databases import PASSWORD
from tests.image.harness import CLIENT_SECRET, COOKIE_SECRET, SEARCH, USER, Platform, Service

TRACE = "105445aa7843bc8bf206b12000100000"
TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def entries(service: Service) -> list[dict[str, object]]:
    return [json.loads(line) for line in service.container.logs().splitlines()]


def test_every_line_is_a_json_entry_with_a_severity(service: Service) -> None:
    service.search()
    loggers = {str(entry["logger"]) for entry in entries(service) if entry["severity"] and entry["message"]}
    assert {"oauth2-proxy", "requests", "uvicorn.error"} <= loggers


def test_a_request_is_logged_with_its_user_and_trace(service: Service) -> None:
    header = {"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
    service.http.get(SEARCH, headers=service.bearer() | header)
    found = [entry for entry in entries(service) if entry.get("logging.googleapis.com/trace") == TRACE]
    assert [(entry["user"], entry["httpRequest"]["status"]) for entry in found] == [(USER, 200)]  # type: ignore[index]


def test_a_refusal_is_a_warning_with_its_trace(service: Service) -> None:
    header = {"X-Cloud-Trace-Context": f"{TRACE[::-1]}/1;o=1"}
    service.http.get(SEARCH, headers=service.bearer(email="eve@evil.test") | header)
    found = [entry for entry in entries(service) if entry.get("logging.googleapis.com/trace") == TRACE[::-1]]
    assert [entry["severity"] for entry in found] == ["WARNING"]


def test_probes_make_no_noise(service: Service) -> None:
    before = len(entries(service))
    for path in ("/ping", "/ready", "/ping"):
        assert service.http.get(path).status_code == 200
    assert service.container.execute("bash", "-c", ". /opt/image/start.sh; answers 8080 && echo yes") == "yes\n"
    assert len(entries(service)) == before


def test_no_secret_and_no_token_is_in_the_log(service: Service, platform: Platform) -> None:
    token = service.token()
    service.http.get(f"{SEARCH}&access_token={token}", headers={"Authorization": f"Bearer {token}"})
    service.http.get(SEARCH, headers={"Authorization": f"Bearer {token}x"})
    service.http.get("/oauth2/callback", params={"code": "the-code", "state": "x:/"})
    log = "".join([*platform.logs, service.container.logs()])
    assert not TOKEN.search(log)
    assert not [secret for secret in (CLIENT_SECRET, COOKIE_SECRET, PASSWORD, "the-code") if secret in log]
