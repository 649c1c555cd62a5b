"""Rules that hold between fields. Each names what it reads: with one of those broken, it has nothing to say."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from image.mlflow_cloudrun import accounts
from stacks import names
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from stacks.settings import limits
from stacks.settings.model import Settings
from stacks.settings.problems import Problem

CrossRule = Callable[[Settings], Iterator[Problem]]

CROSS_RULES: Final[dict[CrossRule, tuple[str, ...]]] = {}
"""Every rule, with the fields that it reads."""


def broken_cross_rules(settings: Settings, *, unusable: Collection[str]) -> list[Problem]:
    """Holds settings against every rule whose fields can be read.

    Args:
        settings: The settings; what stands in an unusable field does not matter.
        unusable: Fields (`section.field`) and whole sections that have a problem of their own.

    Returns:
        A problem for each rule that is broken.
    """
    return [
        problem
        for rule, fields in CROSS_RULES.items()
        if not any(field in unusable or field.split(".")[0] in unusable for field in fields)
        for problem in rule(settings)
    ]


def _reads(*fields: str) -> Callable[[CrossRule], CrossRule]:
    def register(rule: CrossRule) -> CrossRule:
        CROSS_RULES[rule] = fields
        return rule

    return register


@_reads("name", "project.id", "project.number", "bucket.name")
def _names_fit(settings: Settings) -> Iterator[Problem]:
    cloud_names = names.CloudNames.of(settings.name)
    bucket = settings.bucket.name or names.artifacts_bucket(settings.name, settings.project.id)
    for what, name, longest, url in (
        ("the service account's id", cloud_names.service_account, 30, limits.SERVICE_ACCOUNT_URL),
        ("the service's name", cloud_names.service, 49, limits.SERVICE_URL),
        ("the service's host label", f"{cloud_names.service}-{settings.project.number}", 63, limits.HOST_URL),
        ("the bucket's name", bucket, 63, limits.BUCKET_URL),
    ):
        if len(name) > longest:
            yield Problem(
                field="name",
                value=settings.name,
                rule=f"{what}, {name}, would have {len(name)} characters; {longest} is the most",
                remedy=f"shorten name by {len(name) - longest}",
                url=url,
            )
    if re.search("^goog|google|g00gle", bucket):
        yield Problem(
            field="bucket.name",
            value=bucket,
            rule="a bucket name does not start with goog and does not contain google",
            remedy="set bucket.name to another one",
            url=limits.BUCKET_URL,
        )


@_reads("name", "region", "project.id", "database.engine")
def _socket_path_fits(settings: Settings) -> Iterator[Problem]:
    connection_name = f"{settings.project.id}:{settings.region}:{names.CloudNames.of(settings.name).instance}"
    path = names.socket_path(connection_name, settings.database.engine)
    excess = len(path) - limits.LONGEST_SOCKET_PATH
    if excess > 0:
        yield Problem(
            field="name",
            value=settings.name,
            rule=f"the database's socket, {path}, would have {len(path)} bytes; {limits.LONGEST_SOCKET_PATH} is the"
            " most that Linux takes",
            remedy=f"shorten name by {excess}",
            url=limits.SOCKET_URL,
        )


@_reads("service.image", "profile")
def _prod_pins_its_image(settings: Settings) -> Iterator[Problem]:
    if settings.profile == "prod" and "@sha256:" not in settings.service.image:
        yield Problem(
            field="service.image",
            value=settings.service.image,
            rule="prod names its image by digest: a tag can be moved, and a revision must not change under you",
            remedy="append @sha256:... as printed by `make image-push`",
            url="https://cloud.google.com/run/docs/deploying#images",
        )


@_reads("service.min_instances", "service.max_instances")
def _min_is_at_most_max(settings: Settings) -> Iterator[Problem]:
    if settings.service.min_instances > settings.service.max_instances:
        yield Problem(
            field="service.min_instances",
            value=settings.service.min_instances,
            rule=f"min_instances is at most max_instances, which is {settings.service.max_instances}",
            remedy="lower min_instances or raise max_instances",
            url="https://cloud.google.com/run/docs/configuring/min-instances",
        )


@_reads("service.cpu", "service.memory")
def _memory_fits_the_cpu(settings: Settings) -> Iterator[Problem]:
    memory = limits.mebibytes(settings.service.memory)
    lowest, highest = limits.MEMORY_BY_CPU[settings.service.cpu]
    if not lowest <= memory <= highest:
        enough = [cpu for cpu, (low, high) in limits.MEMORY_BY_CPU.items() if low <= memory <= high]
        yield Problem(
            field="service.memory",
            value=settings.service.memory,
            rule=f"{settings.service.cpu} CPU takes {lowest} to {highest} Mi in the second-generation environment",
            remedy=f"change memory, or set cpu to {' or '.join(enough)}"
            if enough
            else "choose 512Mi to 32Gi; 1Gi is enough for MLflow",
            url="https://cloud.google.com/run/docs/configuring/services/memory-limits",
        )


@_reads("database.engine", "database.version")
def _engine_has_the_version(settings: Settings) -> Iterator[Problem]:
    versions = limits.VERSIONS[settings.database.engine]
    if settings.database.version not in ("", *versions):
        yield Problem(
            field="database.version",
            value=settings.database.version,
            rule=f"{settings.database.engine} comes in the versions {', '.join(versions)}",
            remedy=f'write "{versions[-1]}", or leave it out',
            url=f"https://cloud.google.com/sql/docs/{limits.docs_of(settings.database.engine)}/db-versions",
        )


@_reads("database.tier")
def _tier_exists(settings: Settings) -> Iterator[Problem]:
    size = limits.custom_tier(settings.database.tier)
    if size is None:
        return
    cpus, memory = size
    lowest, highest = max(3_840, -(-cpus * 9 * 1_024 // 10)), cpus * 6_656
    if cpus > limits.MOST_CPUS or memory % 256 or not lowest <= memory <= highest:
        yield Problem(
            field="database.tier",
            value=settings.database.tier,
            rule=f"a custom tier has at most {limits.MOST_CPUS} CPUs, and per CPU 0.9 to 6.5 GB of memory, at least"
            " 3840 MB, in steps of 256 MB",
            remedy=f"with {cpus} CPUs choose {-(-lowest // 256) * 256} to {highest} MB in steps of 256"
            if cpus <= limits.MOST_CPUS
            else f"choose at most {limits.MOST_CPUS} CPUs",
            url="https://cloud.google.com/sql/docs/postgres/create-instance#machine-types",
        )


@_reads("database.engine", "database.tier", "service.max_instances")
def _connections_hold(settings: Settings) -> Iterator[Problem]:
    available = limits.max_connections(settings.database.engine, settings.database.tier) - limits.RESERVED_CONNECTIONS
    # While a new revision takes over, the old one still runs.
    per_instance = 2 * CONNECTIONS_PER_INSTANCE
    if settings.service.max_instances * per_instance > available:
        most = available // per_instance
        yield Problem(
            field="service.max_instances",
            value=settings.service.max_instances,
            rule=f"two revisions x {settings.service.max_instances} instances x {CONNECTIONS_PER_INSTANCE} connections"
            f" = {settings.service.max_instances * per_instance}, but {settings.database.tier} has {available} to give",
            remedy=f"lower max_instances to {most} or take a larger tier" if most else "take a larger tier",
            url=f"https://cloud.google.com/sql/docs/{limits.docs_of(settings.database.engine)}/quotas",
        )


@_reads("database.backups", "database.point_in_time_recovery", "database.high_availability")
def _recovery_has_backups(settings: Settings) -> Iterator[Problem]:
    database = settings.database
    if database.point_in_time_recovery and not database.backups:
        yield Problem(
            field="database.point_in_time_recovery",
            value=True,
            rule="point-in-time recovery starts from a backup",
            remedy="set database.backups = true",
            url="https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr",
        )
    if database.high_availability and not (database.backups and database.point_in_time_recovery):
        yield Problem(
            field="database.high_availability",
            value=True,
            rule="high availability needs backups and point-in-time recovery",
            remedy="set database.backups = true and database.point_in_time_recovery = true",
            url="https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/sql_database_instance.html.markdown",
        )


@_reads("bucket.versioning", "bucket.soft_delete_days")
def _deleted_objects_come_back(settings: Settings) -> Iterator[Problem]:
    if not settings.bucket.versioning and not settings.bucket.soft_delete_days:
        yield Problem(
            field="bucket.versioning",
            value=False,
            rule="versioning or soft delete is on: one wrong delete must not lose a model",
            remedy="set bucket.versioning = true or bucket.soft_delete_days = 7",
            url="https://cloud.google.com/storage/docs/protection-backup-recovery-overview",
        )


@_reads("bucket.name", "state.bucket", "name", "project.id")
def _buckets_differ(settings: Settings) -> Iterator[Problem]:
    artifacts = settings.bucket.name or names.artifacts_bucket(settings.name, settings.project.id)
    if settings.state.bucket == artifacts:
        yield Problem(
            field="state.bucket",
            value=settings.state.bucket,
            rule="state and artifacts live in two buckets: whoever reads artifacts must not read the state",
            remedy=f'name another one, such as "{settings.project.id}-tfstate"',
            url="https://developer.hashicorp.com/terraform/language/backend/gcs",
        )


@_reads("access.email_domains", "access.emails", "access.service_accounts")
def _somebody_is_allowed(settings: Settings) -> Iterator[Problem]:
    access = settings.access
    if not (access.email_domains or access.emails or access.service_accounts):
        yield Problem(
            field="access.email_domains",
            value=[],
            rule="somebody is allowed in: oauth2-proxy does not start without a domain or an address",
            remedy='set access.email_domains = ["example.com"], access.emails or access.service_accounts',
            url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
        )


@_reads("access.extra_audiences")
def _gcloud_is_let_in_openly(settings: Settings) -> Iterator[Problem]:
    if names.GCLOUD_AUDIENCE in settings.access.extra_audiences:
        yield Problem(
            field="access.extra_audiences",
            value=names.GCLOUD_AUDIENCE,
            rule="gcloud's audience, which any Google account in the world can get, has a switch of its own",
            remedy="remove it here and set access.gcloud_tokens = true",
            url="https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token",
        )


@_reads("access.extra_audiences")
def _public_clients_stay_out(settings: Settings) -> Iterator[Problem]:
    public = [client for client in accounts.PUBLIC_CLIENTS if client in settings.access.extra_audiences]
    if public:
        yield Problem(
            field="access.extra_audiences",
            value=public[0],
            rule="application-default credentials and the OAuth playground are clients for which any Google account in"
            " the world gets a token",
            remedy="remove it; programs use a service account, and people a client of your own",
            url="https://cloud.google.com/docs/authentication/get-id-token",
        )


@_reads("service.public_url", "profile")
def _prod_is_on_https(settings: Settings) -> Iterator[Problem]:
    if settings.profile == "prod" and settings.service.public_url.startswith("http://"):
        yield Problem(
            field="service.public_url",
            value=settings.service.public_url,
            rule="prod is reached over https; http://localhost is for trying it on one machine",
            remedy='write the custom domain\'s URL, or leave it out, or set profile = "dev"',
            url="https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation",
        )
