"""Settings that break one rule between fields each, and what mends them."""

from dataclasses import dataclass
from typing import Final

from image.mlflow_cloudrun import accounts
from stacks import names
from tests.settings.files import DIGEST, IMAGE, Table

LONGEST_PROJECT: Final = "a" * 30
PROD: Final[Table] = {"profile": "prod", "service.image": IMAGE + DIGEST}
_WATCHED: Final[Table] = {
    "monitoring.enabled": True,
    "monitoring.emails": {"oncall": "oncall@example.com"},
    "monitoring.uptime_check": True,
}
_VPC: Final = "projects/acme-net/global/networks/ml"
_SUBNET: Final = "projects/acme-net/regions/europe-west1/subnetworks/mlflow"
_IN_NETWORK: Final[Table] = {"network.vpc": _VPC, "network.subnet": _SUBNET}
_ADDRESS: Final[Table] = {
    "network.database_address": "10.27.0.4",
    "network.database_ca": "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n",
}
_BEHIND_IAP: Final[Table] = {"iap.enabled": True, "access.oauth_client_id": None}
_MYSQL: Final[Table] = {"database.engine": "mysql"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Settings that break one rule at one field, and what mends them."""

    rule: str
    field: str
    bad: Table
    mend: Table


def _case(rule: str, field: str, bad: Table, mend: Table) -> Case:
    return Case(rule=rule, field=field, bad=bad, mend=mend)


def _budget(engine: str, tier: str, most: int) -> Case:
    settings = {"database.engine": engine, "database.tier": tier, "service.max_instances": most + 1}
    return _case("connections_hold", "service.max_instances", settings, {"service.max_instances": most})


def _memory(cpu: str, bad: str, good: str) -> Case:
    settings = {"service.cpu": cpu, "service.memory": bad}
    return _case("memory_fits_the_cpu", "service.memory", settings, {"service.memory": good})


def _tier(bad: str, good: str) -> Case:
    return _case("tier_exists", "database.tier", {"database.tier": bad}, {"database.tier": good})


def _googles(bad: Table, good: Table) -> Case:
    return _case("bucket_name_is_not_googles", "bucket.name", bad, good)


CASES: Final = [
    _case("service_account_fits", "name", {"name": "a" * 24}, {"name": "a" * 23}),
    _case(
        "socket_path_fits",
        "name",
        {
            "name": "a" * 23,
            "project.id": LONGEST_PROJECT,
            "region": "northamerica-southeastern12",
            "bucket.name": "models",
        },
        {"name": "a" * 21},
    ),
    _case(
        "socket_path_of_the_serving_instance_fits",
        "database.serving_instance",
        {"database.serving_instance": "a" * 61},
        {"database.serving_instance": "a" * 54},
    ),
    _case("bucket_name_fits", "name", {"name": "a" * 23, "project.id": LONGEST_PROJECT}, {"bucket.name": "models"}),
    _case("bucket_name_is_not_googles", "bucket.name", {"project.id": "my-google-ml"}, {"bucket.name": "models"}),
    _case("bucket_name_is_not_googles", "bucket.name", {"project.id": "goog-ml"}, {"bucket.name": "models"}),
    _case(
        "bucket_name_is_not_googles", "bucket.name", {"project.id": "acme-go", "name": "x-g00gle"}, {"name": "x-g00g"}
    ),
    _case("prod_pins_its_image", "service.image", {**PROD, "service.image": IMAGE + ":v1"}, PROD),
    _case("min_is_at_most_max", "service.min_instances", {"service.min_instances": 4}, {"service.min_instances": 3}),
    _memory("1", "511Mi", "512Mi"),
    _memory("1", "4097Mi", "4Gi"),
    _memory("2", "511Mi", "512Mi"),
    _memory("2", "8193Mi", "8Gi"),
    _memory("4", "2047Mi", "2Gi"),
    _memory("4", "16385Mi", "16Gi"),
    _memory("6", "4095Mi", "4Gi"),
    _memory("6", "24577Mi", "24Gi"),
    _memory("8", "4095Mi", "4096Mi"),
    _memory("8", "32769Mi", "32Gi"),
    *(
        _case("engine_has_the_version", "database.version", {"database.version": version}, {"database.version": "14"})
        for version in ("13", "8.4")
    ),
    _case(
        "engine_has_the_version", "database.version", {**_MYSQL, "database.version": "17"}, {"database.version": "8.0"}
    ),
    _case(
        "engine_has_the_version",
        "database.version",
        {**_MYSQL, "database.version": "5.7"},
        {"database.version": "8.4"},
    ),
    _tier("db-custom-1-3584", "db-custom-1-3840"),
    _tier("db-custom-1-6912", "db-custom-1-6656"),
    _tier("db-custom-1-3841", "db-custom-1-4096"),
    _tier("db-custom-8-7168", "db-custom-8-7424"),
    _tier("db-custom-98-98304", "db-custom-96-98304"),
    _budget("postgresql", "db-custom-1-3840", 7),
    _budget("postgresql", "db-custom-1-5888", 7),
    _budget("postgresql", "db-custom-1-6144", 15),
    _budget("postgresql", "db-custom-2-7680", 32),
    _budget("postgresql", "db-custom-4-15360", 40),
    _budget("postgresql", "db-custom-8-30720", 49),
    _budget("postgresql", "db-custom-16-61440", 65),
    _budget("postgresql", "db-custom-32-122880", 82),
    _budget("postgresql", "db-g1-small", 3),
    _budget("mysql", "db-f1-micro", 20),
    _budget("mysql", "db-g1-small", 82),
    _budget("mysql", "db-custom-1-3840", 332),
    _budget("postgresql", "db-f1-micro", 1),
    _case(
        "connections_hold",
        "service.max_instances",
        {"jobs.enabled": True, "database.tier": "db-custom-1-6144", "service.max_instances": 16},
        {"service.max_instances": 15},
    ),
    _case(
        "connections_hold",
        "service.max_instances",
        {"jobs.enabled": True, "database.tier": "db-custom-8-30720", "service.max_instances": 49},
        {"service.max_instances": 48},
    ),
    *(
        _case(f"{schedule}_has_a_job", f"jobs.{schedule}", {f"jobs.{schedule}": "0 3 * * 0"}, {"jobs.enabled": True})
        for schedule in ("gc_schedule", "archive_schedule")
    ),
    *(
        _case("alerts_reach_somebody", "monitoring.enabled", {"monitoring.enabled": True}, {f"monitoring.{field}": to})
        for field, to in (
            ("emails", {"oncall": "oncall@example.com"}),
            ("channels", ["projects/acme-ml-dev/notificationChannels/1"]),
        )
    ),
    _case(
        "uptime_check_has_a_way_in",
        "monitoring.uptime_check",
        {**_WATCHED, "service.ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY"},
        {"service.ingress": "INGRESS_TRAFFIC_ALL"},
    ),
    _case(
        "uptime_check_raises_an_alert",
        "monitoring.uptime_check",
        {"monitoring.uptime_check": True},
        {"monitoring.enabled": True, "monitoring.emails": {"oncall": "oncall@example.com"}},
    ),
    _case(
        "only_a_growing_disk_has_a_limit",
        "database.disk_limit_gb",
        {"database.disk_gb": 100, "database.disk_limit_gb": 200},
        {"database.disk_gb": 0},
    ),
    _case(
        "recovery_has_backups",
        "database.point_in_time_recovery",
        {"database.point_in_time_recovery": True, "database.backups": False},
        {"database.backups": True},
    ),
    _case(
        "high_availability_has_recovery",
        "database.high_availability",
        {"database.high_availability": True},
        {"database.point_in_time_recovery": True},
    ),
    _case(
        "deleted_objects_come_back",
        "bucket.versioning",
        {"bucket.versioning": False, "bucket.soft_delete_days": 0},
        {"bucket.soft_delete_days": 7},
    ),
    _case(
        "key_is_in_the_region",
        "encryption.kms_key",
        {"encryption.kms_key": "projects/acme-keys/locations/europe-west4/keyRings/ml/cryptoKeys/mlflow"},
        {"region": "europe-west4"},
    ),
    _case("network_is_whole", "network.subnet", {"network.vpc": _VPC}, {"network.subnet": _SUBNET}),
    _case("network_is_whole", "network.subnet", {"network.subnet": _SUBNET}, {"network.vpc": _VPC}),
    _case(
        "subnet_is_in_the_region",
        "network.subnet",
        {"network.vpc": _VPC, "network.subnet": _SUBNET.replace("west1", "west4")},
        {"region": "europe-west4"},
    ),
    _case("address_has_a_network", "network.database_address", _ADDRESS, _IN_NETWORK),
    _case(
        "address_has_an_authority",
        "network.database_ca",
        {**_IN_NETWORK, **_ADDRESS, "network.database_ca": ""},
        {"network.database_address": ""},
    ),
    _case(
        "serving_instance_has_an_address",
        "network.database_address",
        {**_IN_NETWORK, "database.serving_instance": "mlflow-db-2"},
        _ADDRESS,
    ),
    _case("buckets_differ", "state.bucket", {"state.bucket": "models", "bucket.name": "models"}, {"bucket.name": ""}),
    _case(
        "buckets_differ", "state.bucket", {"state.bucket": "acme-ml-dev-mlflow-artifacts"}, {"bucket.name": "models"}
    ),
    *(
        _case("somebody_is_allowed", "access.email_domains", {"access.email_domains": []}, {f"access.{field}": [value]})
        for field, value in (
            ("email_domains", "example.com"),
            ("emails", "ada@example.org"),
            ("service_accounts", "trainer@acme-ml-dev.iam.gserviceaccount.com"),
        )
    ),
    _case(
        "gcloud_is_let_in_openly",
        "access.extra_audiences",
        {"access.extra_audiences": [names.GCLOUD_AUDIENCE]},
        {"access.extra_audiences": []},
    ),
    _case(
        "adc_is_let_in_openly",
        "access.extra_audiences",
        {"access.extra_audiences": ["https://a.example", names.ADC_AUDIENCE]},
        {"access.extra_audiences": ["https://a.example"]},
    ),
    _case(
        "the_playground_stays_out",
        "access.extra_audiences",
        {"access.extra_audiences": ["https://a.example", accounts.PLAYGROUND_CLIENT]},
        {"access.extra_audiences": ["https://a.example"]},
    ),
    _case(
        "permissions_have_an_admin",
        "permissions.admins",
        {"permissions.enabled": True},
        {"permissions.admins": ["ada@example.org"]},
    ),
    *(
        _case("permissions_are_meant", "permissions.enabled", {f"permissions.{field}": ["ada@example.org"]}, mend)
        for field, mend in (
            ("admins", {"permissions.enabled": True}),
            ("readers", {"permissions.enabled": True, "permissions.admins": ["bob@example.org"]}),
        )
    ),
    _case(
        "permissions_are_meant",
        "permissions.enabled",
        {"permissions.teams": {"vision": []}},
        {"permissions.enabled": True, "permissions.admins": ["bob@example.org"]},
    ),
    _case(
        "nobody_is_admin_and_reader",
        "permissions.readers",
        {
            "permissions.enabled": True,
            "permissions.admins": ["Ada@example.org", "bob@example.org"],
            "permissions.readers": ["carl@example.org", "ada@example.org"],
        },
        {"permissions.readers": ["carl@example.org"]},
    ),
    _case(
        "nobody_is_reader_and_member",
        "permissions.teams",
        {
            "permissions.enabled": True,
            "permissions.admins": ["bob@example.org"],
            "permissions.readers": ["carl@example.org", "Ada@example.org"],
            "permissions.teams": {"vision": ["ada@example.org"], "speech": ["bob@example.org"]},
        },
        {"permissions.readers": ["carl@example.org"]},
    ),
    _case(
        "somebody_is_allowed",
        "access.email_domains",
        {**_BEHIND_IAP, "access.email_domains": []},
        {"iap.groups": ["data-science@example.com"]},
    ),
    _case(
        "oauth2_proxy_has_a_client",
        "access.oauth_client_id",
        {"access.oauth_client_id": None, "iap.enabled": False},
        {"iap.enabled": True},
    ),
    *(
        _case(f"iap_takes_no_{name}", "iap.enabled", {**_BEHIND_IAP, f"access.{name}": value}, {f"access.{name}": none})
        for name, value, none in (
            ("oauth_client_id", "123456789012-abcdef.apps.googleusercontent.com", None),
            ("extra_audiences", ["https://a.example"], []),
            ("sign_in_rotation", 2, 1),
        )
    ),
    _case(
        "iap_lets_in_accounts_by_name",
        "access.email_domains",
        {**_BEHIND_IAP, "access.email_domains": ["example.com", "acme-ml-dev.iam.gserviceaccount.com"]},
        {"access.email_domains": ["example.com"]},
    ),
    _case("groups_take_iap", "iap.enabled", {"iap.groups": ["data-science@example.com"]}, _BEHIND_IAP),
    _case(
        "iap_answers_uptime_checks_itself",
        "monitoring.uptime_check",
        {**_BEHIND_IAP, **_WATCHED},
        {"monitoring.uptime_check": False},
    ),
    _case(
        "prod_is_on_https",
        "service.public_url",
        {**PROD, "service.public_url": "http://localhost:8000"},
        {"profile": "dev"},
    ),
]
