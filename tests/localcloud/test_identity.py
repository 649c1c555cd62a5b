"""Sign-in on this machine: tokens that last as long as their key, and a form that shows nothing it was not given."""

from __future__ import annotations

import base64
import hashlib
import stat
from typing import TYPE_CHECKING

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import DecodeError

from localcloud.machine.background import serving
from localcloud.machine.identity import GCLOUD_AUDIENCE, IdentityProvider, OAuthClient, kept_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADA = "ada@example.com"
SECRET = "GOCSPX-tests-only"  # noqa: S105
VERIFIER = "v" * 43
ODD = '"><script>alert(1)</script>'
BACK = "http://localhost:8080/oauth2/callback"


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    client = OAuthClient(secret=SECRET, redirect_uris=frozenset({BACK}))
    return IdentityProvider(clients={"client": client, ODD: client}.get)


@pytest.fixture(scope="module")
def url(identity: IdentityProvider) -> Iterator[str]:
    with serving(identity.application()) as port:
        yield f"http://127.0.0.1:{port}"


def question(client: str = "client") -> dict[str, str]:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
    return {"client_id": client, "response_type": "code", "redirect_uri": BACK, "state": "s", "nonce": "n"} | pkce


def signed_in(identity: IdentityProvider, url: str, **form: str) -> dict[str, object]:
    """Follows the sign-in to its end; returns the claims of the identity token."""
    answer = httpx.post(f"{url}/auth", params=question(), data=form)
    back = httpx.URL(answer.headers["Location"])
    assert (str(back.copy_with(query=None)), back.params["state"]) == (BACK, "s")
    code = {"code": back.params["code"], "redirect_uri": BACK, "code_verifier": VERIFIER}
    tokens = httpx.post(f"{url}/token", data=code, auth=("client", SECRET)).json()
    return jwt.decode(tokens["id_token"], identity.key).claims


def test_a_person_signs_in_with_the_form(identity: IdentityProvider, url: str) -> None:
    claims = signed_in(identity, url, email=ADA)
    assert (claims["aud"], claims["email"], claims["nonce"]) == ("client", ADA, "n")


@pytest.mark.parametrize(
    ("email", "organization"),
    [(ADA, "example.com"), ("eve@gmail.com", None), ("trainer@acme-ml-dev.iam.gserviceaccount.com", None)],
)
def test_a_token_names_the_organization_as_googles_do(
    identity: IdentityProvider, email: str, organization: str | None
) -> None:
    claims = jwt.decode(identity.token(audience="x", email=email), identity.key).claims
    assert claims.get("hd") == organization


def test_a_private_account_has_no_organization(identity: IdentityProvider, url: str) -> None:
    assert signed_in(identity, url, email=ADA)["hd"] == "example.com"
    assert "hd" not in signed_in(identity, url, email=ADA, private="on")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example.com/",
        "http://localhost:8080/oauth2/callback/",
        "http://localhost:8080/oauth2/callback?next=1",
        "http://localhost:8081/oauth2/callback",
        "HTTP://localhost:8080/oauth2/callback",
        "http://localhost:8080@evil.example.com/oauth2/callback",
        "javascript:alert(1)//localhost",
        "",
    ],
)
def test_nobody_is_sent_where_the_client_has_not_said(url: str, elsewhere: str) -> None:
    for ask in (httpx.get, httpx.post):
        options = {} if ask is httpx.get else {"data": {"email": ADA}}
        answer = ask(f"{url}/auth", params=question() | {"redirect_uri": elsewhere}, **options)
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert answer.text.startswith("redirect_uri_mismatch"), "as Google calls it"


def test_a_form_without_an_address_is_refused(url: str) -> None:
    assert httpx.post(f"{url}/auth", params=question(), data={"email": ""}).status_code == 400


def test_no_other_page_may_frame_the_form_and_no_cache_may_keep_it(url: str) -> None:
    headers = httpx.get(f"{url}/auth", params=question()).headers
    assert (headers["Content-Security-Policy"], headers["Cache-Control"]) == ("frame-ancestors 'none'", "no-store")


def test_the_form_says_what_it_is_and_shows_strange_names_as_text(url: str) -> None:
    page = httpx.get(f"{url}/auth", params=question(ODD)).text
    assert "stand-in for Google" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_restarted_provider_accepts_the_tokens_that_it_gave(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    token = IdentityProvider(clients={}.get, key=kept_key(path)).access_token(ADA)
    assert IdentityProvider(clients={}.get, key=kept_key(path)).authenticate(token) == ADA
    assert IdentityProvider(clients={}.get).authenticate(token) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_identity_token_is_no_access_token_and_the_other_way_round(identity: IdentityProvider) -> None:
    assert identity.authenticate(identity.token(audience="client", email=ADA)) is None
    assert identity.authenticate(f"ya29.{identity.token(audience='client', email=ADA)}") is None
    with pytest.raises(DecodeError):
        jwt.decode(identity.access_token(ADA), identity.key)


def test_a_program_gets_identity_tokens_as_from_gcloud(identity: IdentityProvider, url: str) -> None:
    answers = [httpx.get(f"{url}/identity", params={"email": ADA} | more) for more in ({}, {"audience": "https://a"})]
    claims = [jwt.decode(answer.text, identity.key).claims for answer in answers]
    assert [(c["email"], c["aud"]) for c in claims] == [(ADA, GCLOUD_AUDIENCE), (ADA, "https://a")]


def test_identity_tokens_are_not_for_containers_or_web_pages(url: str) -> None:
    for host in ("host.internal", "evil.example.com"):
        assert httpx.get(f"{url}/identity", params={"email": ADA}, headers={"Host": host}).status_code in {403, 421}
    assert httpx.get(f"{url}/identity").status_code == 400


def test_a_container_of_docker_gets_none_whatever_it_takes_for_the_name_of_this_machine(url: str) -> None:
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")  # a container has an address of its own
    with httpx.Client(transport=elsewhere) as container:
        answer = container.get(f"{url}/identity", params={"email": ADA}, headers={"Host": "localhost"})
    assert answer.status_code == 403
