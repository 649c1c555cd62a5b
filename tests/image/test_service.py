"""The service as Cloud Run starts it: who gets in, and how."""

from urllib.parse import parse_qs, urlsplit

from tests.image.harness import CLIENT_ID, SEARCH, SERVICE_ACCOUNT, SERVICE_URL, Service


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
