"""The rules between settings, each written once: settings files are checked by them, and variables validate them."""

from typing import Final

from image.mlflow_cloudrun import accounts
from stacks import names
from stacks.mlflow import CONNECTIONS_OF_JOBS, CONNECTIONS_PER_INSTANCE
from stacks.settings import limits
from stacks.settings.cross_rule import CrossRule, rule
from stacks.settings.derived import IN_PROD
from stacks.settings.iap_rules import IAP_RULES
from stacks.settings.language import Call, Fallback, Setting, choose, equal, node, text
from stacks.settings.name_rules import NAME_RULES
from stacks.settings.network_rules import NETWORK_RULES
from stacks.settings.permission_rules import PERMISSION_RULES


def _stays_out(name: str, client: str, must: str, remedy: str, url: str) -> CrossRule:
    """A rule that refuses one client's audience in the list of further ones."""
    audiences = Setting("access.extra_audiences")
    return rule(name, audiences.path, ~Call("contains", audiences, client), must, remedy, url, wrong=client)


def _has_jobs(schedule: str) -> CrossRule:
    """A rule for a setting that has no meaning without jobs."""
    return rule(
        f"{schedule}_has_a_job",
        f"jobs.{schedule}",
        equal(Setting(f"jobs.{schedule}"), "") | Setting("jobs.enabled"),
        "a schedule needs a job",
        "set jobs.enabled = true, or leave the schedule out",
        "https://cloud.google.com/run/docs/execute/jobs-on-schedule",
    )


_ID_TOKENS: Final = "https://cloud.google.com/docs/authentication/get-id-token"
_SQL_DOCS: Final = "https://cloud.google.com/sql/docs"
_ENGINE_DOCS: Final = choose(
    equal(Setting("database.engine"), "mysql"), limits.docs_of("mysql"), limits.docs_of("postgresql")
)
_BUCKET: Final = Setting("bucket.name")

_AMOUNT: Final = Call("groups", r"^([0-9]+)", Setting("service.memory"))[0]
_MEBIBYTES: Final = _AMOUNT * choose(Call("ends", Setting("service.memory"), "Gi"), 1_024, 1)
_MEMORY: Final = node(limits.MEMORY_BY_CPU)[Setting("service.cpu")]
_ENOUGH_CPUS: Final = Call("around", limits.MEMORY_BY_CPU, _MEBIBYTES)

_VERSIONS: Final = node(limits.VERSIONS)[Setting("database.engine")]

_TIER: Final = Call("groups", r"^db-custom-([0-9]+)-([0-9]+)$", Setting("database.tier"))
_CPUS, _TIER_MEMORY = _TIER[0], _TIER[1]
_LEAST_MEMORY: Final = Call("max", 3_840, Call("ceil", _CPUS * 9 * 1_024 / 10))
_MOST_MEMORY: Final = _CPUS * 6_656

# While a new revision takes over, the old one still runs.
_PER_INSTANCE: Final = 2 * CONNECTIONS_PER_INSTANCE
_MYSQL_CONNECTIONS: Final = Fallback(
    node(limits.MYSQL_CONNECTIONS)[Setting("database.tier")], node(limits.MYSQL_CUSTOM_CONNECTIONS)
)
_POSTGRESQL_CONNECTIONS: Final = Fallback(
    node(limits.POSTGRESQL_CONNECTIONS)[Setting("database.tier")],
    Call("reached", limits.POSTGRESQL_CONNECTIONS_BY_MEMORY, _TIER_MEMORY),
)
AVAILABLE_CONNECTIONS: Final = (
    choose(equal(Setting("database.engine"), "mysql"), _MYSQL_CONNECTIONS, _POSTGRESQL_CONNECTIONS)
    - limits.RESERVED_CONNECTIONS
)
_JOBS: Final = choose(Setting("jobs.enabled"), CONNECTIONS_OF_JOBS, 0)
MOST_INSTANCES: Final = Call("floor", (AVAILABLE_CONNECTIONS - _JOBS) / _PER_INSTANCE)
NEEDED_CONNECTIONS: Final = Setting("service.max_instances") * _PER_INSTANCE + _JOBS

_ALLOWED: Final = ("access.email_domains", "access.emails", "access.service_accounts", "iap.groups")

CROSS_RULES: Final = (
    *NAME_RULES,
    *NETWORK_RULES,
    *PERMISSION_RULES,
    *IAP_RULES,
    _has_jobs("gc_schedule"),
    _has_jobs("archive_schedule"),
    rule(
        "prod_pins_its_image",
        "service.image",
        ~IN_PROD | Call("has", Setting("service.image"), "@sha256:"),
        "prod names its image by digest: a tag can be moved, and a revision must not change under you",
        "append @sha256:... as printed by `make image-push`",
        "https://cloud.google.com/run/docs/deploying#images",
    ),
    rule(
        "min_is_at_most_max",
        "service.min_instances",
        Setting("service.min_instances") <= Setting("service.max_instances"),
        "min_instances is at most max_instances, which is {service.max_instances}",
        "lower min_instances or raise max_instances",
        "https://cloud.google.com/run/docs/configuring/min-instances",
    ),
    rule(
        "memory_fits_the_cpu",
        "service.memory",
        (_MEMORY[0] <= _MEBIBYTES) & (_MEMORY[1] >= _MEBIBYTES),
        text(
            "{service.cpu} CPU takes {least} to {most} Mi in the second-generation environment",
            least=_MEMORY[0],
            most=_MEMORY[1],
        ),
        choose(
            node(0) < Call("length", _ENOUGH_CPUS),
            text("change memory, or set cpu to {enough}", enough=Call("join", " or ", _ENOUGH_CPUS)),
            "choose 512Mi to 32Gi; 1Gi is enough for MLflow",
        ),
        "https://cloud.google.com/run/docs/configuring/services/memory-limits",
    ),
    rule(
        "engine_has_the_version",
        "database.version",
        Call("contains", _VERSIONS, Setting("database.version")),
        text("{database.engine} comes in the versions {all}", all=Call("join", ", ", _VERSIONS)),
        text('write "{newest}", or leave it out', newest=Call("last", _VERSIONS)),
        text(f"{_SQL_DOCS}/{{docs}}/db-versions", docs=_ENGINE_DOCS),
    ),
    rule(
        "tier_exists",
        "database.tier",
        (_CPUS <= limits.MOST_CPUS)
        & equal(_TIER_MEMORY % 256, 0)
        & (_LEAST_MEMORY <= _TIER_MEMORY)
        & (_TIER_MEMORY <= _MOST_MEMORY),
        f"a custom tier has at most {limits.MOST_CPUS} CPUs, and per CPU 0.9 to 6.5 GB of memory, at least 3840 MB, in"
        " steps of 256 MB",
        choose(
            _CPUS <= limits.MOST_CPUS,
            text(
                "with {cpus} CPUs choose {least} to {most} MB in steps of 256",
                cpus=_CPUS,
                least=Call("ceil", _LEAST_MEMORY / 256) * 256,
                most=_MOST_MEMORY,
            ),
            f"choose at most {limits.MOST_CPUS} CPUs",
        ),
        f"{_SQL_DOCS}/postgres/create-instance#machine-types",
    ),
    rule(
        "connections_hold",
        "service.max_instances",
        NEEDED_CONNECTIONS <= AVAILABLE_CONNECTIONS,
        text(
            f"two revisions x {{service.max_instances}} instances x {CONNECTIONS_PER_INSTANCE} connections + {{jobs}}"
            " of jobs = {needed}, but {database.tier} has {available}",
            jobs=_JOBS,
            needed=NEEDED_CONNECTIONS,
            available=AVAILABLE_CONNECTIONS,
        ),
        text("lower max_instances to {most} or take a larger tier", most=MOST_INSTANCES),
        text(f"{_SQL_DOCS}/{{docs}}/quotas", docs=_ENGINE_DOCS),
    ),
    rule(
        "only_a_growing_disk_has_a_limit",
        "database.disk_limit_gb",
        equal(Setting("database.disk_limit_gb"), 0) | equal(Setting("database.disk_gb"), 0),
        "only a disk that grows by itself takes a limit, and one of {database.disk_gb} GB does not grow",
        "set database.disk_gb = 0, or leave disk_limit_gb out",
        f"{_SQL_DOCS}/postgres/instance-settings#storage-capacity-2ndgen",
    ),
    rule(
        "recovery_has_backups",
        "database.point_in_time_recovery",
        ~Setting("database.point_in_time_recovery") | Setting("database.backups"),
        "point-in-time recovery starts from a backup",
        "set database.backups = true",
        f"{_SQL_DOCS}/postgres/backup-recovery/pitr",
    ),
    rule(
        "high_availability_has_recovery",
        "database.high_availability",
        ~Setting("database.high_availability")
        | (Setting("database.backups") & Setting("database.point_in_time_recovery")),
        "high availability needs backups and point-in-time recovery",
        "set database.backups = true and database.point_in_time_recovery = true",
        "https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/sql_database_instance.html.markdown",
    ),
    rule(
        "deleted_objects_come_back",
        "bucket.versioning",
        Setting("bucket.versioning") | ~equal(Setting("bucket.soft_delete_days"), 0),
        "versioning or soft delete is on: one wrong delete must not lose a model",
        "set bucket.versioning = true or bucket.soft_delete_days = 7",
        "https://cloud.google.com/storage/docs/protection-backup-recovery-overview",
    ),
    rule(
        "key_is_in_the_region",
        "encryption.kms_key",
        equal(Setting("encryption.kms_key"), "")
        | Call("has", Setting("encryption.kms_key"), text("/locations/{region}/")),
        "a key encrypts in its own location alone, and all of the deployment is in {region}",
        "name a key of {region}, or leave it out",
        "https://cloud.google.com/sql/docs/postgres/cmek",
    ),
    rule(
        "buckets_differ",
        "state.bucket",
        ~equal(Setting("state.bucket"), _BUCKET),
        "state and artifacts are in two buckets: who may read artifacts must not read the state",
        'name another one, such as "{project.id}-tfstate"',
        "https://developer.hashicorp.com/terraform/language/backend/gcs",
    ),
    rule(
        "somebody_is_allowed",
        "access.email_domains",
        node(0) < Call("length", Call("concat", *map(Setting, _ALLOWED))),
        "somebody gets in: a domain or an address is named",
        'set access.email_domains = ["example.com"], access.emails or access.service_accounts',
        "https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
    ),
    _stays_out(
        "gcloud_is_let_in_openly",
        names.GCLOUD_AUDIENCE,
        "gcloud's audience, which any Google account in the world can get, has a switch of its own",
        "remove it here and set access.gcloud_tokens = true",
        "https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token",
    ),
    _stays_out(
        "adc_is_let_in_openly",
        names.ADC_AUDIENCE,
        "the audience of application-default credentials, which any Google account in the world can get, has a switch"
        " of its own",
        "remove it here and set access.adc_tokens = true",
        _ID_TOKENS,
    ),
    _stays_out(
        "the_playground_stays_out",
        accounts.PLAYGROUND_CLIENT,
        "the OAuth playground is a client for which any Google account in the world gets a token",
        "remove it; programs use a service account, and people a client of your own",
        _ID_TOKENS,
    ),
    rule(
        "alerts_reach_somebody",
        "monitoring.enabled",
        ~Setting("monitoring.enabled")
        | (node(0) < Call("length", Setting("monitoring.emails")) + Call("length", Setting("monitoring.channels"))),
        "an alert reaches somebody",
        "add an address to monitoring.emails, or name a channel in monitoring.channels",
        "https://cloud.google.com/monitoring/support/notification-options",
    ),
    rule(
        "uptime_check_has_a_way_in",
        "monitoring.uptime_check",
        ~Setting("monitoring.uptime_check") | equal(Setting("service.ingress"), "INGRESS_TRAFFIC_ALL"),
        "the uptime check comes from outside, and service.ingress is {service.ingress}",
        'set monitoring.uptime_check = false, or service.ingress = "INGRESS_TRAFFIC_ALL"',
        "https://cloud.google.com/monitoring/uptime-checks/introduction",
    ),
    rule(
        "uptime_check_raises_an_alert",
        "monitoring.uptime_check",
        ~Setting("monitoring.uptime_check") | Setting("monitoring.enabled"),
        "a failed uptime check raises an alert",
        "set monitoring.enabled = true",
        "https://cloud.google.com/monitoring/alerts/uptime-checks",
    ),
    rule(
        "prod_is_on_https",
        "service.public_url",
        ~IN_PROD | ~Call("starts", Setting("service.public_url"), "http://"),
        "prod is reached over https; http://localhost is for trying it on one machine",
        'write the custom domain\'s URL, or leave it out, or set profile = "dev"',
        "https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation",
    ),
)
