"""Addresses are API: who renames one destroys what stands behind it."""

import re

import pytest

from stacks import addresses
from tests.stacks.documents import NAMES, document, resources

STATEFUL = {
    addresses.INSTANCE,
    addresses.DATABASE,
    addresses.DATABASE_USER,
    addresses.BUCKET,
    addresses.BACKEND_STORE_URI,
    addresses.OAUTH2_PROXY,
}


@pytest.mark.parametrize("environment", NAMES)
def test_addresses_are_the_same_whatever_the_settings(environment: str) -> None:
    assert set(resources(environment)) == set(resources("dev"))
    assert set(document(environment)["ephemeral"]["random_password"]) == {"database", "cookie_secret"}


def test_what_holds_data_stays_at_its_address() -> None:
    assert set(resources("dev")) >= STATEFUL


def test_addresses_are_words_without_hashes() -> None:
    for address in (*resources("maximal"), *resources("maximal", "bootstrap")):
        name = address.split(".")[1]
        assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name), address
        assert not re.search("[0-9A-F]{8}", name), address
