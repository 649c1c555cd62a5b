"""What an attacker tries, and what comes back: the table of the gate."""

import base64
import http.client
import json

import httpx
import pytest

from harness.attacks import ACCEPTED, REFUSED, WITHOUT_CREDENTIAL, Token, after, ended
from harness.service import DOMAIN, SEARCH, SERVICE_URL, USER, Service


def call(service: Service, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Returns status and body. Sends the path as it is written: other clients tidy `..` away."""
    connection = http.client.HTTPConnection(httpx.URL(service.url).netloc.decode(), timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path", "headers", "status"), WITHOUT_CREDENTIAL)
def test_nothing_opens_without_a_credential(
    service: Service, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    got, body = call(service, method, path, headers)
    assert got == status
    assert "experiment_id" not in body


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_token_is_refused(service: Service, kind: str) -> None:
    headers = {"Authorization": f"Bearer {REFUSED[kind](service.identity)}"}
    assert call(service, "GET", SEARCH, headers)[0] == 403


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_good_token_is_accepted(service: Service, kind: str) -> None:
    headers = {"Authorization": f"Bearer {ACCEPTED[kind](service.identity)}"}
    assert call(service, "GET", SEARCH, headers)[0] == 200


FORGED: list[dict[str, str]] = [
    {"X-Forwarded-Groups": DOMAIN},
    {"X_Forwarded_Groups": DOMAIN},
    {"X-Forwarded-Groups": DOMAIN, "Connection": "X-Forwarded-Groups"},
    {"Connection": "X-Forwarded-Groups"},
    {"Connection": "X-Forwarded-Email"},
    {"X-Auth-Request-Groups": DOMAIN},
]


@pytest.mark.parametrize("header", FORGED)
def test_no_header_makes_a_private_account_one_of_the_organization(service: Service, header: dict[str, str]) -> None:
    private = service.bearer(hd=None)
    assert call(service, "GET", SEARCH, private | header)[0] == 403


def test_a_private_account_is_told_what_to_do(service: Service) -> None:
    status, body = call(service, "GET", SEARCH, service.bearer(hd=None))
    assert status == 403
    assert json.loads(body)["error_code"] == "PERMISSION_DENIED"
    assert "private Google account" in body
    assert "access.emails" in body


@pytest.mark.fault(
    "the clock of whoever signed a token is wrong",
    "one minute fast: accepted; ten minutes fast, or slow by its lifetime: 403",
)
@pytest.mark.parametrize(("token", "status"), [(after(60), 200), (after(600), 403), (ended(1), 403)])
def test_a_token_of_a_skewed_clock(service: Service, token: Token, status: int) -> None:
    headers = {"Authorization": f"Bearer {token(service.identity)}"}
    assert call(service, "GET", SEARCH, headers)[0] == status


def test_a_token_counts_in_its_header_alone(service: Service) -> None:
    token = service.token()
    assert call(service, "GET", f"{SEARCH}&access_token={token}", {})[0] == 401
    assert call(service, "GET", SEARCH, {"X-Serverless-Authorization": f"Bearer {token}"})[0] == 401
    for name, password in ((USER, "password"), (USER, token), (token, ""), (token, "x-oauth-basic")):
        basic = f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
        status, body = call(service, "GET", SEARCH, {"Authorization": basic})
        assert status == 401
        assert "Authorization must be: Bearer TOKEN" in body


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_case_of_the_scheme_does_not_matter(service: Service, scheme: str) -> None:
    assert call(service, "GET", SEARCH, {"Authorization": f"{scheme} {service.token()}"})[0] == 200


@pytest.mark.parametrize("target", ["https://evil.test", "//evil.test", "/\\evil.test", "https:evil.test"])
def test_sign_in_never_ends_elsewhere(service: Service, target: str) -> None:
    answer = service.http.get("/oauth2/start", params={"rd": target})
    state = httpx.URL(answer.headers["Location"]).params["state"]
    assert state.partition(":")[2] == "/"


@pytest.mark.parametrize("header", [{"Host": "evil.test"}, {"Origin": "https://evil.test"}])
def test_another_site_cannot_use_a_signed_in_browser(service: Service, header: dict[str, str]) -> None:
    body = {"name": "from another site"}
    answer = service.http.post("/api/2.0/mlflow/experiments/create", json=body, headers=service.bearer() | header)
    assert answer.status_code in {403, 404}  # Cloud Run's own front end knows no such host


def test_the_pages_own_origin_may_write(service: Service) -> None:
    headers = service.bearer() | {"Origin": SERVICE_URL}
    answer = service.http.post("/api/2.0/mlflow/experiments/create", json={"name": "from the page"}, headers=headers)
    assert answer.status_code == 200
