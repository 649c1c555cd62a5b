"""The rows of the sections `encryption`, `iap`, `jobs`, `monitoring`, `network` and `permissions`."""

from typing import Final

from tests.settings.row import FLAG, Row, each

_ONCALL: Final = {"oncall": "oncall@example.com"}
_KEY: Final = "projects/acme-keys/locations/europe-west1/keyRings/ml/cryptoKeys/mlflow"
_PERMITTED: Final = {"permissions.enabled": True, "permissions.admins": ["ada@example.org"]}
_NO_ADDRESSES: Final = each(
    *("", "ada", "ada@example", "ada@Example.org", "a b@example.org", "ada@example.org\n", "user:ada@example.org"),
    *("@example.org", "allUsers", "group:ml@example.org"),
)
_VPC: Final = "projects/acme-net/global/networks/ml"
_SUBNET: Final = "projects/acme-net/regions/europe-west1/subnetworks/mlflow"
_IN_NETWORK: Final = {"network.vpc": _VPC, "network.subnet": _SUBNET}
_CA: Final = "-----BEGIN CERTIFICATE-----\nMIIDfzCCAmegAwIBAgIBADANBgkqhkiG9w0BAQsFADB3\n-----END CERTIFICATE-----\n"
_DAYS: Final = Row(good=(1, 3_650), bad=(0, 3_651, -1))
_SCHEDULE: Final = Row(
    good=("0 3 * * 0", "", "*/15 0-6,22 1,15 JAN-MAR,12 MON-FRI", "59 23 31 12 7", "* * * * *", "0 9 * * SUN/2"),
    bad=(
        *("0 3 * *", "0 3 * * 0 2026", "60 3 * * 0", "0 24 * * 0", "0 3 32 * 0", "0 3 * 13 0", "0 3 * * 8", "@daily"),
        *("0  3 * * 0", " 0 3 * * 0", "0 3 * * 0\n", "every 24 hours", "0 3 * * sun", "*/0 3 * * 0", "-1 3 * * 0"),
    ),
    beside={"jobs.enabled": True},
)

OPERATIONS: Final[dict[str, Row]] = {
    "encryption.kms_key": Row(
        good=("", _KEY, _KEY.replace("mlflow", "K_-" * 21)),
        bad=(
            *("mlflow", f"{_KEY}/cryptoKeyVersions/1", f"//cloudkms.googleapis.com/{_KEY}", f"{_KEY}\n"),
            *(_KEY.replace("europe-west1", "europe"), _KEY.replace("europe-west1", "global")),
            *(_KEY.replace("mlflow", "k" * 64), _KEY.replace("acme-keys", "acme"), _KEY.removeprefix("projects/")),
        ),
    ),
    "network.vpc": Row(
        good=(_VPC, _VPC.replace("/ml", "/" + "n" * 63)),
        bad=(
            *("ml", f"https://www.googleapis.com/compute/v1/{_VPC}", f"{_VPC}\n", _VPC.replace("/ml", "/" + "n" * 64)),
            *(_VPC.replace("/ml", "/ML"), _VPC.replace("global", "europe-west1"), _VPC.replace("acme-net", "acme")),
        ),
        beside={"network.subnet": _SUBNET},
    ),
    "network.subnet": Row(
        good=(_SUBNET, _SUBNET.replace("acme-net", "acme-ml-dev")),
        bad=("mlflow", f"{_SUBNET}\n", _SUBNET.replace("regions", "zones"), _SUBNET.replace("/mlflow", "/m_l")),
        beside={"network.vpc": _VPC},
    ),
    "network.database_address": Row(
        good=("", "10.27.0.3", "192.168.100.200"),
        bad=("10.27.0", "10.27.0.3:5432", "db.example.com", "10.27.0.3\n", "1000.27.0.3", "10.27.0.3/24"),
        beside=_IN_NETWORK | {"network.database_ca": _CA},
    ),
    "network.database_ca": Row(
        good=("", _CA, _CA * 2, _CA[:-1]),
        bad=("MIID", _CA.replace("\n", "\\n"), _CA.replace("CERTIFICATE", "PRIVATE KEY"), f"{_CA}x", " " + _CA),
        beside=_IN_NETWORK,
    ),
    "jobs.enabled": FLAG,
    "jobs.gc_schedule": _SCHEDULE,
    "jobs.gc_older_than_days": _DAYS,
    "jobs.archive_schedule": _SCHEDULE,
    "jobs.archive_older_than_days": _DAYS,
    "jobs.time_zone": Row(
        good=("Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"),
        bad=("", "+02:00", "Europe/", "Europe Berlin", "a/b/c/d", "UTC\n"),
    ),
    "jobs.timeout_seconds": Row(good=(60, 86_400), bad=(59, 86_401, -1)),
    "monitoring.enabled": Row(good=(True, False), bad=("true", 1), beside={"monitoring.emails": _ONCALL}),
    "monitoring.emails": Row(
        good=({}, _ONCALL, {"a" * 63: "o'neil+ml@sub.example.com"}),
        bad=(
            *(
                {"oncall": bad}
                for bad in ("", "oncall", "oncall@example", "oncall@Example.com", "a@example.com\n", "a b@c.de")
            ),
            *({bad: "oncall@example.com"} for bad in ("", "-a", "a" * 64, "a b", "\u00e9", "a.b", "a\n")),
        ),
    ),
    "monitoring.channels": Row(
        good=(
            [],
            ["projects/acme-ml-dev/notificationChannels/1"],
            ["projects/acme-ml-dev/notificationChannels/" + "1" * 30],
        ),
        bad=each("", "1", "projects/acme-ml-dev/notificationChannels/x", "projects/A/notificationChannels/1", "a\n"),
    ),
    "monitoring.p95_milliseconds": Row(good=(50, 300_000), bad=(49, 300_001, 0)),
    "monitoring.uptime_check": Row(
        good=(True, False), bad=("no", 0), beside={"monitoring.enabled": True, "monitoring.emails": _ONCALL}
    ),
    "iap.enabled": Row(good=(True,), bad=("true", 1), beside={"access.oauth_client_id": None}),
    "iap.groups": Row(
        good=([], ["data-science@example.com", "Ada.Team@example.com"]),
        bad=each(
            "", "data-science", "group:data-science@example.com", "a@b@example.com", "x@p.iam.gserviceaccount.com"
        ),
        beside={"iap.enabled": True, "access.oauth_client_id": None},
    ),
    "permissions.enabled": Row(good=(True,), bad=("true", 1), beside={"permissions.admins": ["ada@example.org"]}),
    "permissions.default": Row(
        good=("NO_PERMISSIONS", "READ", "EDIT", "MANAGE"), bad=("", "read", "USE", "DENY", "NONE"), beside=_PERMITTED
    ),
    "permissions.admins": Row(
        good=(["ada@example.org", "trainer@acme-ml-prod.iam.gserviceaccount.com"], ["Ada@example.org"]),
        bad=_NO_ADDRESSES,
        beside={"permissions.enabled": True},
    ),
    "permissions.readers": Row(
        good=([], ["bob@example.org", "trainer@acme-ml-prod.iam.gserviceaccount.com"]),
        bad=_NO_ADDRESSES,
        beside=_PERMITTED,
    ),
    "permissions.teams": Row(
        good=(
            {},
            {"vision": []},
            {"vision": ["ada@example.org", "trainer@acme-ml-prod.iam.gserviceaccount.com"], "a1": ["Bob@example.org"]},
            {"a" + "-" * 61 + "b": ["ada@example.org"]},
        ),
        bad=(
            *({"vision": bad} for bad in _NO_ADDRESSES),
            *(
                {bad: ["ada@example.org"]}
                for bad in ("", "a", "a" * 64, "Vision", "-a", "a-", "a_b", "a.b", "..", "\u00e9a", "ab\n")
            ),
            *({bad: []} for bad in ("default", "workspaces", "api", "ajax-api", "static-files")),
        ),
        beside=_PERMITTED,
    ),
}
