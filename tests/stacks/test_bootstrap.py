"""Promises on what is made once per project, and on what both stacks share."""

import pytest

from localcloud.services import RESOURCES
from stacks import addresses
from stacks.bootstrap import APIS
from stacks.kinds import apis_of
from tests.stacks.documents import NAMES, STACKS, document, resource, resources


def test_every_api_that_a_resource_needs_is_enabled() -> None:
    """The local cloud knows by itself which API serves a type, as Google does."""
    served_by = {resource.type: resource.api.name for resource in RESOURCES}
    addresses = [*resources("maximal"), *resources("iap"), *resources("maximal", "bootstrap")]
    needed = {served_by[address.split(".")[0]] for address in addresses if address.startswith("google_")}
    of_people = {"iamcredentials.googleapis.com", "sql-component.googleapis.com"}  # impersonation, gcloud run jobs
    on_unless_disabled = {"storage.googleapis.com"}
    assert (needed - {""}) | of_people | on_unless_disabled == set(APIS)


def test_a_type_that_nobody_explained_stops_the_synthesis() -> None:
    with pytest.raises(ValueError, match="google_pubsub_topic has no row in KINDS"):
        apis_of(["google_storage_bucket", "google_pubsub_topic"])


def test_apis_are_never_disabled() -> None:
    apis = resource("dev", addresses.APIS, "bootstrap")
    assert apis["disable_on_destroy"] is False
    assert all(f'"{api}"' in apis["for_each"] for api in APIS)


def test_old_untagged_images_go_and_recent_ones_stay() -> None:
    repository = resource("dev", addresses.IMAGES, "bootstrap")
    policies = {policy["id"]: policy for policy in repository["cleanup_policies"]}
    assert policies["keep-most-recent"]["action"] == "KEEP"
    assert policies["delete-old-untagged"]["condition"]["tag_state"] == "UNTAGGED"
    assert repository["cleanup_policy_dry_run"] is False


def test_a_state_bucket_is_versioned_private_and_not_destroyed_with_its_objects() -> None:
    bucket = resource("prod", addresses.STATE_BUCKET, "bootstrap")
    assert bucket["name"] == "acme-ml-prod-tfstate"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["force_destroy"] is False


def test_without_a_state_bucket_none_is_made() -> None:
    assert addresses.STATE_BUCKET not in resources("dev", "bootstrap")


def test_the_state_goes_to_the_bucket_or_to_a_file_by_a_relative_path() -> None:
    assert document("prod")["terraform"]["backend"] == {
        "gcs": {"bucket": "acme-ml-prod-tfstate", "prefix": "prod/tracking"}
    }
    assert document("dev")["terraform"]["backend"] == {"local": {"path": "../../../terraform.dev.tracking.tfstate"}}
    assert document("prod", "bootstrap")["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.prod.bootstrap.tfstate"}
    }


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("environment", NAMES)
def test_everything_that_takes_labels_has_the_settings_labels(environment: str, stack: str) -> None:
    labels = {"prod": {"team": "ml-platform"}, "maximal": {"team": "ml-platform", "cost-center": "42"}}
    for address, body in resources(environment, stack).items():
        if address == addresses.NOTIFICATION_EMAILS:
            continue  # its labels are the address
        found = body.get("settings", {}).get("user_labels", body.get("user_labels", body.get("labels")))
        if found is not None:
            assert found == labels.get(environment, {}), address
