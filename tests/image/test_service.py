"""The service as Cloud Run starts it: who gets in, and how."""

import socket
import time
from http.client import HTTPResponse
from urllib.parse import parse_qs, urlsplit

import httpx

from harness.service import CLIENT_ID, SEARCH, SERVICE_ACCOUNT, SERVICE_URL, USER, Service


def test_a_person_with_an_identity_token_reaches_mlflow(service: Service) -> None:
    answer = service.search()
    assert answer.status_code == 200
    assert [item["name"] for item in answer.json()["experiments"]] == ["Default"]


def test_a_named_service_account_reaches_mlflow(service: Service) -> None:
    assert service.http.get(SEARCH, headers=service.bearer(email=SERVICE_ACCOUNT)).status_code == 200


def test_a_browser_is_sent_to_sign_in_with_pkce_and_a_nonce(service: Service) -> None:
    answer = service.http.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["client_id"] == [CLIENT_ID]
    assert query["redirect_uri"] == [f"{SERVICE_URL}/oauth2/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["nonce"]


def cookies(answer: httpx.Response) -> dict[str, str]:
    """Returns the cookies as a browser would send them back; over plain http no client stores `__Host-` ones."""
    parts = [header.partition(";")[0].partition("=") for header in answer.headers.get_list("Set-Cookie")]
    return {name: value for name, _, value in parts if value}


def sign_in(service: Service, email: str, **account: str) -> httpx.Response:
    """Follows the sign-in from the first page to the callback's answer."""
    start = service.http.get("/", headers={"Accept": "text/html"})
    granted = httpx.post(start.headers["Location"], data={"email": email} | account)
    callback = httpx.URL(granted.headers["Location"]).raw_path.decode()
    jar = "; ".join(f"{name}={value}" for name, value in cookies(start).items())
    return service.http.get(callback, headers={"Cookie": jar})


def test_a_person_signs_in_and_sees_mlflow(service: Service) -> None:
    answer = sign_in(service, USER)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    (header,) = [h for h in answer.headers.get_list("Set-Cookie") if h.startswith("__Host-mlflow=")]
    assert {part.strip().lower() for part in header.split(";")[1:]} >= {"path=/", "secure", "httponly", "samesite=lax"}
    session = {"Cookie": f"__Host-mlflow={cookies(answer)['__Host-mlflow']}"}
    page = service.http.get("/", headers=session)
    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text
    assert service.http.get(SEARCH, headers=session).status_code == 200
    spoiled = session | {"Authorization": f"Bearer {service.token(email='eve@evil.test')}"}
    assert service.http.get(SEARCH, headers=spoiled).status_code == 403


def test_a_stranger_signs_in_and_is_refused(service: Service) -> None:
    answer = sign_in(service, "eve@evil.test")
    assert answer.status_code == 403
    assert "__Host-mlflow" not in cookies(answer)


def test_a_private_account_on_an_address_of_the_domain_signs_in_and_is_refused(service: Service) -> None:
    cookie = cookies(sign_in(service, USER, private="on"))["__Host-mlflow"]
    page = service.http.get("/", headers={"Cookie": f"__Host-mlflow={cookie}", "Accept": "text/html"})
    assert page.status_code == 403
    assert "private Google account" in page.text
    assert "/oauth2/sign_out" in page.text


def test_a_tampered_session_is_no_session(service: Service) -> None:
    cookie = cookies(sign_in(service, USER))["__Host-mlflow"]
    tampered = {"Cookie": f"__Host-mlflow={cookie[:-4]}AAAA"}
    assert service.http.get(SEARCH, headers=tampered).status_code == 401


def test_a_refusal_arrives_whole_when_the_body_comes_late(service: Service) -> None:
    body = b'{"name": "from another site"}'
    headers = service.bearer() | {"Host": "evil.test", "Content-Length": str(len(body))}
    head = "\r\n".join(["POST /api/2.0/mlflow/experiments/create HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())])
    for _ in range(20):  # some of them were cut off when MLflow answered before it had read the body
        with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port or 80)) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode())
            for start in range(0, len(body), 8):
                time.sleep(0.02)
                connection.sendall(body[start : start + 8])
            answer = HTTPResponse(connection)
            answer.begin()
            assert answer.status == 403
            answer.read()  # raises IncompleteRead where the end is missing
