"""Identity-Aware Proxy in front of a service: whoever may pass arrives with an assertion, and nobody else arrives."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt

from containers import images
from containers.engine import Engine
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.iap import ASSERTION_HEADER, COOKIE, ISSUER, SIGN_IN_PATH
from localcloud.services import iap, run
from tests.localcloud.machine.echo_service import NAME, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

PERSON, STRANGER = "ada@example.com", "eve@evil.test"
TRAINER, OTHER = "trainer@tests.iam.gserviceaccount.com", "other@tests.iam.gserviceaccount.com"
PAGE = {"Sec-Fetch-Mode": "navigate"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    engine = Engine()
    place = Place(tmp_path_factory.mktemp("place"), engine, images.build(engine))
    with serving(place.application(), callers=EVERYBODY) as port:
        place.http.base_url = f"http://127.0.0.1:{port}"
        try:
            place.deploy()
            service = place.cloud.store.get(run.Service.type, NAME)
            assert service
            closed = {**service, "iap_enabled": True, "invoker_iam_disabled": False}
            place.cloud.store.put(run.Service.type, NAME, closed)
            for member in (f"user:{PERSON}", f"serviceAccount:{TRAINER}", "domain:example.org"):
                grant(place, member)
            invoke(place, allowed=True)
            yield place
            place.do(place.services.close())
        finally:
            for container in place.containers():
                container.remove()


def grant(place: Place, member: str) -> None:
    role, name = "roles/iap.httpsResourceAccessor", "projects/tests/iap_web/cloud_run-here/services/echo"
    key = f"{name}/{role}/{member}"
    place.cloud.store.put(iap.CloudRunMember.type, key, {"id": key, "role": role, "member": member})


def invoke(place: Place, *, allowed: bool) -> None:
    member, role = iap.agent(place.cloud, "tests"), "roles/run.invoker"
    key = f"{NAME}/{role}/{member}"
    place.cloud.store.remove(run.ServiceMember.type, key)
    if allowed:
        place.cloud.store.put(run.ServiceMember.type, key, {"id": key, "role": role, "member": member})


def sign_in(place: Place, email: str) -> dict[str, str]:
    """A browser's headers after the form."""
    answer = place.http.post(SIGN_IN_PATH, data={"email": email, "next": "/x?y=z"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/x?y=z")
    place.http.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def token(place: Place, account: str, **claims: object) -> str:
    """A token that an account's key has signed, as `gcloud iam service-accounts sign-jwt` makes it."""
    now = int(time.time())
    usual: dict[str, Any] = {"iss": account, "sub": account, "aud": f"{place.http.base_url}/*".replace("//*", "/*")}
    parts = ({"alg": "RS256", "typ": "JWT"}, usual | {"iat": now, "exp": now + 3600} | claims)
    content = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
    signature = place.account_keys.sign(account, content.encode())
    return f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def asserted(place: Place, headers: dict[str, str]) -> dict[str, Any]:
    """What the container was told of who asks."""
    told = place.http.get("/x", headers=headers).raise_for_status().json()["headers"]
    claims = jwt.decode(told[ASSERTION_HEADER.lower()], place.iap.key, algorithms=["ES256"]).claims
    assert told["x-goog-authenticated-user-email"] == f"accounts.google.com:{claims['email']}"
    return claims


def test_a_person_signs_in_and_arrives_by_name(place: Place) -> None:
    form = place.http.get("/x?y=z", headers=PAGE)
    assert (form.status_code, 'name="email"' in form.text, 'value="/x?y=z"' in form.text) == (401, True, True)
    browser = sign_in(place, PERSON.upper())
    forged = {ASSERTION_HEADER: "forged", "X-Goog-Authenticated-User-Email": f"accounts.google.com:{STRANGER}"}
    claims = asserted(place, browser | forged)
    number = place.cloud.project_number("tests")
    assert (claims["iss"], claims["email"]) == (ISSUER, PERSON)
    assert claims["aud"] == f"/projects/{number}/locations/here/services/echo"
    assert asserted(place, sign_in(place, "bob@example.org"))["email"] == "bob@example.org"  # by the domain
    out = place.http.get("/?gcp-iap-mode=CLEAR_LOGIN_COOKIE", headers=browser)
    assert (out.status_code, out.headers["location"]) == (302, "/")
    assert f'{COOKIE}=""' in out.headers["set-cookie"]


def test_a_stranger_and_a_call_without_a_session_do_not_arrive(place: Place) -> None:
    assert place.http.get("/x", headers=sign_in(place, STRANGER)).status_code == 403
    for headers in ({"Sec-Fetch-Mode": "cors"}, {"Cookie": f"{COOKIE}=forged"}, {ASSERTION_HEADER: "forged"}):
        assert place.http.get("/x", headers=headers).status_code == 401
    assert place.http.post("/x").status_code == 401
    for following in ("//evil.test", "/\\evil.test", "https://evil.test"):
        assert place.http.post(SIGN_IN_PATH, data={"email": PERSON, "next": following}).status_code == 400


def test_a_program_arrives_by_a_token_that_its_account_has_signed_for_the_url(place: Place) -> None:
    good = token(place, TRAINER)
    assert asserted(place, {"Authorization": f"Bearer {good}"})["email"] == TRAINER
    assert asserted(place, {"Proxy-Authorization": f"Bearer {good}", "Authorization": "Basic x"})["email"] == TRAINER
    now = int(time.time())
    bad = {
        "another URL": token(place, TRAINER, aud="https://elsewhere.run.app/*"),
        "another path": token(place, TRAINER, aud="https://echo.run.app/y"),
        "another account": token(place, TRAINER, sub=OTHER),
        "a key of another account": token(place, OTHER, iss=TRAINER, sub=TRAINER),
        "expired": token(place, TRAINER, iat=now - 3700, exp=now - 100),
        "from the future": token(place, TRAINER, iat=now + 600, exp=now + 900),
        "for two hours": token(place, TRAINER, exp=now + 7200),
        "a person": token(place, PERSON),
        "no signature": good.rpartition(".")[0] + ".",
        "no token": "x",
        "no object": f"{good.split('.')[0]}.W10.x",
    }
    for what, sent in bad.items():
        assert place.http.get("/x", headers={"Authorization": f"Bearer {sent}"}).status_code == 401, what
    assert place.http.get("/x", headers={"Authorization": f"Bearer {token(place, OTHER)}"}).status_code == 403


def test_without_its_own_grant_the_proxy_reaches_nothing(place: Place) -> None:
    browser = sign_in(place, PERSON)
    invoke(place, allowed=False)
    assert place.http.get("/x", headers=browser).status_code == 403
    invoke(place, allowed=True)
    assert place.http.get("/x", headers=browser).status_code == 200
