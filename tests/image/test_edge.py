"""The edge: what it refuses before the sign-in sees it, how it hands on the rest, and what its answers carry."""

import http.client
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from mlflow.exceptions import RestException
from mlflow.utils.rest_utils import verify_rest_response

from harness.service import SEARCH, SERVICE_URL, USER, Platform, Service
from tests.image.test_attacks import call
from tests.image.test_service import cookies, sign_in

CREATE = "/api/2.0/mlflow/runs/create"
HOST = urlsplit(SERVICE_URL).netloc
FROM_CLOUD_RUN = {"X-Forwarded-Proto": "https"}


def message(answer: httpx.Response) -> str:
    """Returns what MLflow's client would print."""
    with pytest.raises(RestException) as caught:
        verify_rest_response(answer, "/endpoint")  # type: ignore[arg-type]
    return str(caught.value)


# Sizes: one limit for all who read a request. What does not fit into the edge's buffer gets a sentence of its own.


@pytest.mark.parametrize(("kib", "status"), [(15, 200), (17, 414), (50, 414)])
def test_a_long_address_passes_or_is_refused_with_a_sentence(service: Service, kib: int, status: int) -> None:
    answer = service.http.get(f"{SEARCH}&ignored={'a' * kib * 1024}", headers=service.bearer())
    assert answer.status_code == status
    assert status == 200 or answer.json()["message"]


@pytest.mark.parametrize("name", ["Cookie", "X-Anything"])
def test_long_headers_pass_in_whatever_pieces_they_come(service: Service, name: str) -> None:
    headers = service.bearer() | {name: "a" * 30 * 1024}
    assert {service.http.get(SEARCH, headers=headers).status_code for _ in range(50)} == {200}


@pytest.mark.parametrize("kib", [33, 50])
@pytest.mark.parametrize("name", ["Cookie", "X-Anything"])
def test_longer_headers_are_refused_with_a_sentence(service: Service, name: str, kib: int) -> None:
    answer = service.http.get(SEARCH, headers=service.bearer() | {name: "a" * kib * 1024})
    assert answer.status_code == 431
    assert "headers" in answer.json()["message"]


@pytest.mark.parametrize("headers", [{"X-Long": "a" * 1024 * 1024}, {f"X-{number}": "a" for number in range(5000)}])
def test_what_no_buffer_holds_gets_an_answer_too(service: Service, headers: dict[str, str]) -> None:
    answer = service.http.get(SEARCH, headers=service.bearer() | headers)
    assert answer.status_code == 400
    assert "invalid request" in answer.text


def test_a_body_of_more_than_cloud_run_takes_is_refused_before_it_is_sent(service: Service) -> None:
    headers = service.bearer() | {"Content-Length": str(33 * 1024 * 1024), "Expect": "100-continue"}
    assert call(service, "POST", CREATE, headers)[0] == 413


def test_unfinished_sign_ins_do_not_pile_up(service: Service) -> None:
    jar: dict[str, str] = {}
    for _ in range(30):
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        answer = service.http.get("/", headers=sent)
        for header in answer.headers.get_list("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            if value:
                jar[name] = value
            else:
                jar.pop(name, None)
    assert len(jar) <= 11, "the limit of oauth2-proxy.toml, and the one that was just begun"


# Credentials.


def test_a_missing_credential_gets_an_answer_that_says_what_to_send(service: Service) -> None:
    answer = service.http.get(SEARCH)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mlflow"'
    assert message(answer).startswith("UNAUTHENTICATED: You are not signed in")
    assert "MLFLOW_TRACKING_AUTH=google, or MLFLOW_TRACKING_TOKEN" in message(answer)


def test_a_token_that_does_not_open_gets_an_answer_that_says_what_it_must_be(service: Service) -> None:
    for spoiled in ({"audience": "https://elsewhere.run.app"}, {"email": "eve@evil.test"}):
        answer = service.http.get(SEARCH, headers=service.bearer(**spoiled))
        assert answer.status_code == 403
        assert "invalid_token" in answer.headers["WWW-Authenticate"]
        assert message(answer).startswith("PERMISSION_DENIED: The token does not open this service.")


@pytest.mark.parametrize("credential", ["Bearer ya29.an-access-token", "Bearer", "Token x", "Bearer a b", "AIzaKey"])
def test_another_kind_of_credential_gets_an_answer_that_says_so(service: Service, credential: str) -> None:
    answer = service.http.get(SEARCH, headers={"Authorization": credential})
    assert answer.status_code == 401
    assert "not an access token, a key or a password" in message(answer)


def test_mlflows_own_refusals_pass_unchanged(service: Service) -> None:
    answer = service.http.post(CREATE, json={}, headers=service.bearer() | {"Origin": "https://evil.test"})
    assert answer.status_code == 403
    assert "The token does not open" not in answer.text


def test_a_pages_own_call_without_a_session_is_not_led_to_the_sign_in(service: Service) -> None:
    for mode, status in (("cors", 401), ("no-cors", 401), ("same-origin", 401), ("navigate", 302)):
        answer = service.http.get("/static-files/static/js/main.js", headers={"Sec-Fetch-Mode": mode})
        assert answer.status_code == status
        assert bool(answer.headers.get_list("Set-Cookie")) == (status == 302)


# Forms.


def test_curls_json_reaches_mlflow_though_curl_calls_it_a_form(service: Service) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = '{"experiment_id": "0", "tags": [{"key": "big", "value": "' + "x" * 4000 + '"}]}'
    answer = service.http.post(CREATE, content=body, headers=service.bearer() | form)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "TEXT/X-WWW-FORM-URLENCODED"]
)
def test_with_a_cookie_a_form_is_no_json(service: Service, kind: str) -> None:
    session = {"Cookie": f"__Host-mlflow={cookies(sign_in(service, USER))['__Host-mlflow']}", "Content-Type": kind}
    answer = service.http.post(CREATE, content='{"experiment_id": "0"}', headers=session)
    assert answer.status_code == 400
    assert "Content-Type must be one of" in answer.json()["message"]


# One form of a request.


@pytest.mark.parametrize("host", [HOST, f"{HOST}:443", HOST.upper(), f"{HOST.upper()}:443"])
def test_the_default_port_and_upper_case_name_the_same_host(service: Service, host: str) -> None:
    assert service.http.get(SEARCH, headers=service.bearer() | {"Host": host}).status_code == 200


@pytest.mark.parametrize("host", [f"{HOST}.evil.test", f"{HOST}:4433", "evil.test:443", f"{HOST}:443:443"])
def test_another_host_stays_another(service: Service, host: str) -> None:
    assert service.http.get(SEARCH, headers=service.bearer() | {"Host": host}).status_code in (400, 403)


def test_two_credentials_or_hosts_are_refused(service: Service) -> None:
    for name, value in (("Authorization", f"Bearer {service.token()}"), ("Host", "evil.test")):
        connection = http.client.HTTPConnection(httpx.URL(service.url).netloc.decode())
        connection.putrequest("GET", SEARCH, skip_host=True)
        for header in (("Host", HOST), ("Authorization", f"Bearer {service.token()}"), (name, value)):
            connection.putheader(*header)
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()


# Headers of answers.


@pytest.mark.parametrize(
    "path", ["/", "/static-files/missing.js", SEARCH, "/nothing-here", "/oauth2/callback", "/version"]
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_every_answer_has_the_headers_of_a_page_that_others_cannot_use(
    service: Service, path: str, *, signed_in: bool
) -> None:
    answer = service.http.get(path, headers=(service.bearer() if signed_in else {}) | FROM_CLOUD_RUN)
    expected = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "SAMEORIGIN",
        "Strict-Transport-Security": "max-age=31536000",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert not answer.headers.keys() & {"server", "via", "x-powered-by", "gap-auth"}
    assert "oauth2 proxy" not in answer.text.lower()


def test_plain_http_gets_no_promise_of_https(service: Service) -> None:
    assert "Strict-Transport-Security" not in service.http.get(SEARCH).headers


def test_answers_of_the_api_are_stored_nowhere_and_static_files_are(service: Service) -> None:
    page = service.http.get("/", headers=service.bearer()).text
    script = "/static-files/" + page.partition("static-files/")[2].partition('"')[0]
    for path, cached in ((SEARCH, False), ("/version", False), (script, True)):
        control = service.http.get(path, headers=service.bearer()).headers.get("Cache-Control", "")
        assert ("no-store" not in control) == cached, path


# Sign-out.


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("site", "ends"), [("cross-site", False), ("same-site", False), ("", False), ("same-origin", True), ("none", True)]
)
def test_only_the_person_signs_out(service: Service, method: str, site: str, *, ends: bool) -> None:
    session = {"Cookie": f"__Host-mlflow={cookies(sign_in(service, USER))['__Host-mlflow']}"}
    answer = service.http.request(
        method, "/oauth2/sign_out", headers=session | ({"Sec-Fetch-Site": site} if site else {})
    )
    cleared = [header for header in answer.headers.get_list("Set-Cookie") if header.startswith("__Host-mlflow=;")]
    assert (answer.status_code, bool(cleared)) == ((302, True) if ends else (403, False))


# Time.


@contextmanager
def stopped(service: Service) -> Generator[None]:
    """MLflow stands still, so that no request is answered."""
    mlflow = "/opt/mlflow/bin/python -m mlflow_cloudrun serve"
    service.signal(mlflow, "STOP")
    try:
        yield
    finally:
        service.signal(mlflow, "CONT")


def test_the_limit_of_time_is_the_setting_in_every_layer(platform: Platform, database: str) -> None:
    with (
        platform.service(platform.postgres.uri(database), REQUEST_TIMEOUT_SECONDS="2") as service,
        stopped(service),
    ):
        answer = service.http.get(SEARCH, headers=service.bearer())
        assert answer.status_code == 504
        assert "service.timeout_seconds" in answer.json()["message"]


def test_a_web_socket_without_its_key_is_refused(service: Service) -> None:
    assert call(service, "GET", "/", {"Connection": "Upgrade", "Upgrade": "websocket"})[0] == 400
