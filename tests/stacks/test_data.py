"""Promises on the database and the bucket."""

import json
from functools import cache
from typing import Any

import pytest

from stacks import addresses
from stacks.settings.load import load
from tests.stacks.documents import ENVIRONMENTS, NAMES, document, resource, resources
from tests.stacks.evaluate import evaluate


@cache
def evaluated_instance(environment: str) -> dict[str, Any]:
    instance = {**resource(environment, addresses.INSTANCE), "lifecycle": {}}
    return evaluate(instance, locals_=document(environment)["locals"])


@pytest.mark.parametrize("environment", NAMES)
def test_everything_is_in_one_region(environment: str) -> None:
    found = resources(environment)
    regions = {
        found[addresses.INSTANCE]["region"],
        found[addresses.BUCKET]["location"],
        found[addresses.SERVICE]["location"],
        resource(environment, addresses.IMAGES, "bootstrap")["location"],
        document(environment)["provider"]["google"][0]["region"],
    }
    for secret in ("backend_store_uri", "oauth2_proxy"):
        replicas = found[f"google_secret_manager_secret.{secret}"]["replication"]["user_managed"]["replicas"]
        regions |= {replica["location"] for replica in replicas}
        assert len(replicas) == 1
    assert len(regions) == 1


VPC = "projects/acme-net/global/networks/ml"


@pytest.mark.parametrize("environment", NAMES)
def test_the_database_is_reached_by_connectors_alone_or_in_its_network_alone(environment: str) -> None:
    found = resource(environment, addresses.INSTANCE)["settings"]["ip_configuration"]
    public = {"ipv4_enabled": True, "ssl_mode": "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"}
    private = {"ipv4_enabled": False, "private_network": VPC, "ssl_mode": "ENCRYPTED_ONLY"}
    assert found == (private if environment == "maximal" else public)


@pytest.mark.parametrize("environment", NAMES)
def test_service_and_jobs_are_where_the_database_is(environment: str) -> None:
    service = resource(environment, addresses.SERVICE)["template"]
    jobs = resource(environment, addresses.JOBS)["template"]["template"]
    subnet = "projects/acme-net/regions/us-central1/subnetworks/tracking"
    place = {"egress": "PRIVATE_RANGES_ONLY", "network_interfaces": [{"network": VPC, "subnetwork": subnet}]}
    wanted = place if environment == "maximal" else None
    assert (service.get("vpc_access"), jobs.get("vpc_access")) == (wanted, wanted)


@pytest.mark.parametrize("environment", NAMES)
def test_the_edition_has_the_tier(environment: str) -> None:
    assert resource(environment, addresses.INSTANCE)["settings"]["edition"] == "ENTERPRISE"


def test_the_default_is_one_cpu_that_grows_its_own_disk() -> None:
    settings = evaluated_instance("dev")["settings"]
    assert settings["tier"] == "db-custom-1-3840"
    assert (settings["disk_size"], settings["disk_autoresize"]) == (None, True)


def test_a_disk_size_is_kept() -> None:
    settings = evaluated_instance("maximal")["settings"]
    assert (settings["disk_size"], settings["disk_autoresize"]) == (100, False)


def test_prod_has_a_standby_recovery_and_protection() -> None:
    instance = evaluated_instance("prod")
    assert instance["deletion_protection"] is True
    assert instance["settings"]["deletion_protection_enabled"] is True
    assert instance["settings"]["availability_type"] == "REGIONAL"
    assert instance["settings"]["backup_configuration"]["enabled"] is True
    assert instance["settings"]["backup_configuration"]["point_in_time_recovery_enabled"] is True
    assert instance["settings"]["retain_backups_on_delete"] is True


def test_dev_can_be_thrown_away() -> None:
    instance = evaluated_instance("dev")
    assert instance["deletion_protection"] is False
    assert instance["settings"]["deletion_protection_enabled"] is False
    assert instance["settings"]["availability_type"] == "ZONAL"
    assert instance["settings"]["retain_backups_on_delete"] is False
    assert resource("dev", addresses.BUCKET)["force_destroy"] is True
    for address in (addresses.DATABASE_USER, addresses.DATABASE):
        assert resource("dev", address)["deletion_policy"] == "ABANDON"


def test_mysql_recovers_from_its_binary_log() -> None:
    instance = evaluated_instance("mysql")
    backups = instance["settings"]["backup_configuration"]
    assert instance["database_version"] == "MYSQL_8_0"
    assert (backups["binary_log_enabled"], backups["point_in_time_recovery_enabled"]) == (True, False)


def test_postgresql_recovers_from_its_write_ahead_log() -> None:
    instance = evaluated_instance("maximal")
    backups = instance["settings"]["backup_configuration"]
    assert instance["database_version"] == "POSTGRES_16"
    assert (backups["binary_log_enabled"], backups["point_in_time_recovery_enabled"]) == (False, True)


def test_a_growing_disk_has_the_limit_that_was_set() -> None:
    settings = resource("mysql", addresses.INSTANCE)["settings"]
    assert evaluate(settings, locals_=document("mysql")["locals"])["disk_autoresize"] is True
    assert settings["disk_autoresize_limit"] == 50


def test_maintenance_and_backups_follow_the_settings() -> None:
    settings = resource("maximal", addresses.INSTANCE)["settings"]
    assert (settings["maintenance_window"]["day"], settings["maintenance_window"]["hour"]) == (6, 22)
    assert settings["backup_configuration"]["backup_retention_settings"]["retained_backups"] == 30


@pytest.mark.parametrize(("backups", "days"), [(1, 1), (3, 3), (7, 7), (30, 7)])
def test_logs_are_kept_for_no_longer_than_backups_and_than_the_edition_keeps_them(backups: int, days: int) -> None:
    instance = resource("dev", addresses.INSTANCE)["settings"]["backup_configuration"]
    locals_ = document("dev")["locals"] | {"database_backup_retention": backups}
    assert evaluate(instance, locals_=locals_)["transaction_log_retention_days"] == days


@pytest.mark.parametrize(
    ("environment", "flag"),
    [
        ("dev", ("log_connections", "on")),
        ("mysql", ("local_infile", "off")),
        ("mysql", ("log_bin_trust_function_creators", "on")),
    ],
)
def test_each_engine_has_its_own_flags(environment: str, flag: tuple[str, str]) -> None:
    flags = resource(environment, addresses.INSTANCE)["settings"]["database_flags"]
    assert flag in {(block["name"], block["value"]) for block in flags}


def test_the_database_and_its_user_are_called_mlflow() -> None:
    assert resource("dev", addresses.DATABASE)["name"] == "mlflow"
    assert resource("dev", addresses.DATABASE_USER)["name"] == "mlflow"


@pytest.mark.parametrize("environment", NAMES)
def test_the_bucket_is_private(environment: str) -> None:
    bucket = resource(environment, addresses.BUCKET)
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"


@pytest.mark.parametrize("environment", NAMES)
def test_a_deleted_model_can_be_restored(environment: str) -> None:
    bucket = resource(environment, addresses.BUCKET)
    kept = evaluate(bucket["soft_delete_policy"], locals_=document(environment)["locals"])
    assert bucket["versioning"]["enabled"] or kept["retention_duration_seconds"] >= 7 * 86_400


def test_the_bucket_cleans_up_after_itself() -> None:
    rules = resource("maximal", addresses.BUCKET)["lifecycle_rule"]
    assert [rule["action"]["type"] for rule in rules] == ["Delete", "AbortIncompleteMultipartUpload"]
    assert rules[0]["condition"] == {"days_since_noncurrent_time": 90, "with_state": "ARCHIVED"}


def test_prod_keeps_a_bucket_that_holds_objects() -> None:
    assert resource("prod", addresses.BUCKET)["force_destroy"] is False


def test_a_bucket_name_is_the_settings_or_derived() -> None:
    assert resource("dev", addresses.BUCKET)["name"] == "acme-ml-dev-mlflow-artifacts"
    assert resource("maximal", addresses.BUCKET)["name"] == "acme-models"


def test_a_key_of_ones_own_encrypts_all_that_is_at_rest() -> None:
    key = load(ENVIRONMENTS / "maximal.toml", {}).encryption.kms_key
    found = resources("maximal")
    assert key
    assert found[addresses.INSTANCE]["encryption_key_name"] == key
    assert found[addresses.SERVICE]["template"]["encryption_key"] == key
    assert found[addresses.JOBS]["template"]["template"]["encryption_key"] == key
    assert found[addresses.BUCKET]["encryption"] == {"default_kms_key_name": key}
    assert resource("maximal", addresses.STATE_BUCKET, "bootstrap")["encryption"] == {"default_kms_key_name": key}
    for secret in (addresses.BACKEND_STORE_URI, addresses.OAUTH2_PROXY, addresses.ENCRYPTION_KEY):
        (replica,) = found[secret]["replication"]["user_managed"]["replicas"]
        assert replica["customer_managed_encryption"] == {"kms_key_name": key}


def test_without_one_no_key_is_named() -> None:
    assert "kms_key_name" not in json.dumps([resources("prod"), resources("prod", "bootstrap")])
    assert "encryption_key_name" not in resource("prod", addresses.INSTANCE)
