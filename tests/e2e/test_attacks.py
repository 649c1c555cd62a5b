"""The table of the gate (tests/image/test_attacks.py) once more: through the front door, with the stack's settings.

The page's own origin is left out: here it is the one that test_browser.py uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from harness.service import Service
from localcloud.machine.identity import IdentityProvider, kept_key
from tests.image.test_attacks import (
    test_a_bad_token_is_refused,
    test_a_good_token_is_accepted,
    test_a_token_counts_in_its_header_alone,
    test_another_site_cannot_use_a_signed_in_browser,
    test_nothing_opens_without_a_credential,
    test_sign_in_never_ends_elsewhere,
)
from tests.image.test_service import test_a_stranger_signs_in_and_is_refused, test_a_tampered_session_is_no_session

if TYPE_CHECKING:
    from harness.world import World

__all__ = [
    "test_a_bad_token_is_refused",
    "test_a_good_token_is_accepted",
    "test_a_stranger_signs_in_and_is_refused",
    "test_a_tampered_session_is_no_session",
    "test_a_token_counts_in_its_header_alone",
    "test_another_site_cannot_use_a_signed_in_browser",
    "test_nothing_opens_without_a_credential",
    "test_sign_in_never_ends_elsewhere",
]


@pytest.fixture(scope="module")
def service(shared_world: World) -> Service:
    """The whole path in the place of the container alone; the tokens are signed with the local cloud's key."""
    key = kept_key(shared_world.home / "identity.pem")
    (container,) = shared_world.instances()
    through_front_door = Service(container, IdentityProvider(clients={}.get, key=key))
    through_front_door.url = shared_world.url
    through_front_door.http = httpx.Client(base_url=shared_world.url, timeout=60)
    return through_front_door
