"""Promises on what is made once per project, and on what both stacks share."""

import pytest

from stacks.bootstrap import APIS
from tests.stacks.documents import NAMES, STACKS, document, resource, resources

SERVICES_OF_TYPES = {
    "google_artifact_registry_repository": "artifactregistry.googleapis.com",
    "google_cloud_run": "run.googleapis.com",
    "google_project_iam": "cloudresourcemanager.googleapis.com",
    "google_secret_manager": "secretmanager.googleapis.com",
    "google_service_account": "iam.googleapis.com",
    "google_sql": "sqladmin.googleapis.com",
    "google_storage": "storage.googleapis.com",
}


def test_every_api_that_a_resource_needs_is_enabled() -> None:
    addresses = [*resources("maximal"), *resources("maximal", "bootstrap")]
    needed = {
        api for prefix, api in SERVICES_OF_TYPES.items() if any(address.startswith(prefix) for address in addresses)
    }
    of_people = {"iamcredentials.googleapis.com", "sql-component.googleapis.com"}  # impersonation, gcloud run jobs
    assert needed | of_people == set(APIS)


def test_apis_are_never_disabled() -> None:
    apis = resource("dev", "google_project_service.enabled", "bootstrap")
    assert apis["disable_on_destroy"] is False
    assert all(f'"{api}"' in apis["for_each"] for api in APIS)


def test_old_untagged_images_go_and_recent_ones_stay() -> None:
    repository = resource("dev", "google_artifact_registry_repository.images", "bootstrap")
    policies = {policy["id"]: policy for policy in repository["cleanup_policies"]}
    assert policies["keep-most-recent"]["action"] == "KEEP"
    assert policies["delete-old-untagged"]["condition"]["tag_state"] == "UNTAGGED"
    assert repository["cleanup_policy_dry_run"] is False


def test_a_state_bucket_is_versioned_private_and_not_destroyed_with_its_objects() -> None:
    bucket = resource("prod", "google_storage_bucket.state", "bootstrap")
    assert bucket["name"] == "acme-ml-prod-tfstate"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["force_destroy"] is False


def test_without_a_state_bucket_none_is_made() -> None:
    assert "google_storage_bucket.state" not in resources("dev", "bootstrap")


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
        found = body.get("settings", {}).get("user_labels", body.get("labels"))
        if found is not None:
            assert found == labels.get(environment, {}), address
