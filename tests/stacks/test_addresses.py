"""Addresses are API: who renames one destroys what stands behind it."""

from pathlib import Path

import pytest

from stacks import addresses
from stacks.settings.load import load
from tests.stacks.documents import ENVIRONMENTS, NAMES, document, is_words, resources

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
    assert set(document(environment)["ephemeral"]["random_password"]) == {"database", "cookie_secret", "encryption_key"}


def test_what_holds_data_stays_at_its_address() -> None:
    assert set(resources("dev")) >= STATEFUL


def test_a_deployment_carries_its_renames_beside_its_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

    monkeypatch.setitem(addresses.MOVED, "google_storage_bucket.old", addresses.BUCKET)
    synthesize(load(ENVIRONMENTS / "dev.toml", {}), environment="dev", output=tmp_path)
    moved = f"moved {{\n  from = google_storage_bucket.old\n  to   = {addresses.BUCKET}\n}}\n"
    assert (tmp_path / "stacks" / "tracking" / "moved.tf").read_text() == moved
    assert (tmp_path / "stacks" / "bootstrap" / "moved.tf").read_text() == ""


def test_addresses_are_words_without_hashes() -> None:
    for address in (*resources("maximal"), *resources("maximal", "bootstrap")):
        assert is_words(address.split(".")[1]), address


@pytest.mark.parametrize("name", ["BUCKET", "artifacts-bucket", "artifacts__all", "artifacts_12345678"])
def test_a_hash_or_other_spelling_would_be_noticed(name: str) -> None:
    assert not is_words(name)
