"""The name that Cloud Run gives the service, over https, with no custom domain; and who may call it at all."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.sync_api import expect

from harness.world import SEARCH, WRITER
from localcloud.machine.background import free_port
from stacks import addresses
from tests.e2e.browser import visiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.world import World
    from tests.e2e.conftest import MakeWorld

HOST = "mlflow-123456789012.europe-west1.run.app"
URL = f"https://{HOST}"


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> Iterator[World]:
    with make_world(f"--https={HOST}:{free_port()}", SERVICE__PUBLIC_URL="") as deployed:
        yield deployed


def search(world: World) -> int:
    """Calls the service by its name; returns the status."""
    headers = world.bearer(audience=URL) | {"Host": HOST}
    return httpx.get(f"{world.url}{SEARCH}", headers=headers, timeout=60).status_code


def test_a_browser_signs_in_at_the_name_that_cloud_run_gives(world: World) -> None:
    certificate = load_pem_x509_certificate((world.home / "tls" / "certificate.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with visiting(
        f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{world.facts['ports']['https']}",
        f"--ignore-certificate-errors-spki-list={b64encode(sha256(key).digest()).decode()}",
    ) as visitor:
        states: list[str] = []
        devtools = visitor.context.new_cdp_session(visitor.page)
        devtools.on(
            "Security.visibleSecurityStateChanged",
            lambda event: states.append(event["visibleSecurityState"]["securityState"]),
        )
        devtools.send("Security.enable")
        visitor.sign_in(URL, WRITER)
        expect(visitor.page.get_by_text("Welcome to MLflow")).to_be_visible()
        assert visitor.page.url.startswith(f"{URL}/")
        assert states[-1] == "secure"
        cookie = visitor.cookie()
        assert cookie is not None
        assert (cookie["domain"], cookie["secure"], cookie["httpOnly"]) == (HOST, True, True)
        assert visitor.errors == []


def test_the_invoker_check_switched_off_serves_as_the_public_invoker_does(world: World) -> None:
    world.synthesize(ACCESS__INVOKER_IAM_DISABLED="true")
    world.tracking.apply()
    assert f"{addresses.PUBLIC_INVOKER}[0]" not in world.tracking.addresses()
    assert search(world) == 200


def test_a_service_for_internal_requests_is_not_found(world: World) -> None:
    world.synthesize(SERVICE__INGRESS="INGRESS_TRAFFIC_INTERNAL_ONLY")
    world.tracking.apply()
    assert search(world) == 404
