"""Google's libraries find a Cloud Run service's account, and nothing but this machine is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from localcloud.machine.background import serving
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.metadata import Metadata, only, variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "mlflow-server@acme.iam.gserviceaccount.com"
ADA = "ada@example.com"
AUDIENCE = "https://mlflow-1.europe-west1.run.app"
FLAVOR = {"Metadata-Flavor": "Google"}
NOWHERE = "http://127.0.0.1:9"  # any address but loopback would be asked through here
PROGRAM = f"""
import json, sys
import google.auth
from google.auth.compute_engine import Credentials
from google.auth.transport.requests import Request
from google.oauth2 import id_token

credentials, project = google.auth.default()
credentials.refresh(Request())
identity = id_token.fetch_id_token(Request(), {AUDIENCE!r})
print(json.dumps([
    project, type(credentials) is Credentials, credentials.service_account_email, credentials.universe_domain,
    credentials.token, credentials.valid, identity,
]))
"""


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    return IdentityProvider(clients={}.get)


@pytest.fixture(params=[SERVER, ADA])
def server(identity: IdentityProvider, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Address and identity of a metadata server."""
    application = Metadata(
        identity, whose=only(request.param), project="acme", number="123456789012", region="europe-west1"
    )
    with serving(application.application()) as port:
        yield f"127.0.0.1:{port}", request.param


def test_google_auth_finds_the_identity_and_its_tokens(
    identity: IdentityProvider, server: tuple[str, str], tmp_path: Path
) -> None:
    address, email = server
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {"HOME": str(tmp_path), "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | variables(address),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    project, from_metadata, found, universe, access_token, valid, printed = json.loads(done.stdout)
    assert (project, from_metadata, found, universe) == ("acme", True, email, "googleapis.com")
    assert valid
    assert identity.authenticate(access_token) == email
    with serving(identity.application()) as port:
        keys = KeySet.import_key_set(httpx.get(f"http://127.0.0.1:{port}/certs").json())
    claims = jwt.decode(printed, keys).claims
    assert (claims["iss"], claims["aud"], claims["email"]) == ("https://accounts.google.com", AUDIENCE, email)


def test_a_token_opens_what_it_was_asked_for_and_by_default_everything(
    identity: IdentityProvider, server: tuple[str, str]
) -> None:
    address, email = server
    login, files = (f"https://www.googleapis.com/auth/{name}" for name in ("sqlservice.login", "devstorage.read_only"))
    url = f"http://{address}/computeMetadata/v1/instance/service-accounts/default/token"
    limited, unlimited = (
        httpx.get(url, params=params, headers=FLAVOR).json()["access_token"] for params in ({"scopes": login}, {})
    )
    assert [identity.authenticate(limited, scope) for scope in (login, files)] == [email, None]
    assert [identity.authenticate(unlimited, scope) for scope in (login, files)] == [email, email]
    assert identity.authenticate(limited) is None


def test_region_and_project_number_are_told(server: tuple[str, str]) -> None:
    root = f"http://{server[0]}/computeMetadata/v1"
    paths = ("instance/region", "project/numeric-project-id", "instance/service-accounts/default/email")
    assert [httpx.get(f"{root}/{path}", headers=FLAVOR).text for path in paths] == [
        "projects/123456789012/regions/europe-west1",
        "123456789012",
        server[1],
    ]


@pytest.mark.parametrize("path", ["token", "identity?audience=a", "?recursive=true"])
@pytest.mark.parametrize("headers", [{}, {"Metadata-Flavor": "Other"}])
def test_without_googles_header_nothing_is_told(server: tuple[str, str], path: str, headers: dict[str, str]) -> None:
    url = f"http://{server[0]}/computeMetadata/v1/instance/service-accounts/default/{path}"
    answer = httpx.get(url, headers=headers)
    assert (answer.status_code, "ya29" in answer.text or "eyJ" in answer.text) == (403, False)


@pytest.mark.parametrize("path", ["instance/service-accounts/other@acme.iam.gserviceaccount.com/token", "instance/id"])
def test_what_is_not_there_is_not_found_and_says_who_answers(server: tuple[str, str], path: str) -> None:
    answer = httpx.get(f"http://{server[0]}/computeMetadata/v1/{path}", headers=FLAVOR)
    assert (answer.status_code, answer.headers.get("Metadata-Flavor")) == (404, "Google")


def test_an_identity_token_needs_an_audience(server: tuple[str, str]) -> None:
    url = f"http://{server[0]}/computeMetadata/v1/instance/service-accounts/default/identity"
    assert httpx.get(url, headers=FLAVOR).status_code == 400
