"""Validation blocks from the rules between settings.

The rules themselves are Python (stacks/settings/cross_rules.py) and are said here once more in Terraform's language;
the tests of verdicts hold both against the same inputs, word for word. A condition that cannot be evaluated, since a
value that it reads is refused elsewhere, has nothing to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from image.mlflow_cloudrun import accounts
from stacks import names
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from stacks.settings import limits
from stacks.variables.language import literal
from stacks.variables.validations import Validation, message
from stacks.variables.values import cloud_names, name_of, value

LEFT_OUT: Final = {
    "_buckets_differ": "The bucket of the state belongs to the configuration that calls the module.",
}
"""Rules that are no validations, and why."""

_PREFIXED: Final = names.CloudNames.of("${var.name}")
_NAMES: Final = cloud_names()
_SQL_DOCS: Final = "https://cloud.google.com/sql/docs"
_SQL_ENGINE: Final = f'${{var.database.engine == "mysql" ? "{limits.docs_of("mysql")}" : "{limits.docs_of("")}"}}'
_PROVIDER_DOCS: Final = "https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs"

_MEBIBYTES: Final = 'tonumber(regex("^[0-9]+", var.service.memory)) * (endswith(var.service.memory, "Gi") ? 1024 : 1)'
_MEMORY_BY_CPU: Final = literal(limits.MEMORY_BY_CPU)
_MEMORY_LIMITS: Final = f"{_MEMORY_BY_CPU}[var.service.cpu]"
_ENOUGH_CPUS: Final = (
    f"[for cpu, limits in {_MEMORY_BY_CPU} : cpu if {_MEBIBYTES} >= limits[0] && {_MEBIBYTES} <= limits[1]]"
)

_VERSIONS: Final = f"{literal(limits.VERSIONS)}[var.database.engine]"

_TIER: Final = 'regex("^db-custom-([0-9]+)-([0-9]+)$", var.database.tier)'
_CPUS: Final = f"tonumber({_TIER}[0])"
_TIER_MEMORY: Final = f"tonumber({_TIER}[1])"
_LEAST_MEMORY: Final = f"max(3840, ceil({_CPUS} * 9 * 1024 / 10))"
_MOST_MEMORY: Final = f"{_CPUS} * 6656"

# While a new revision takes over, the old one still runs.
_PER_INSTANCE: Final = 2 * CONNECTIONS_PER_INSTANCE
_MYSQL_CONNECTIONS: Final = (
    f"lookup({literal(limits.MYSQL_CONNECTIONS)}, var.database.tier, {limits.MYSQL_CUSTOM_CONNECTIONS})"
)
_POSTGRESQL_CONNECTIONS: Final = (
    f"try({literal(limits.POSTGRESQL_CONNECTIONS)}[var.database.tier],"
    f" [for row in {literal(limits.POSTGRESQL_CONNECTIONS_BY_MEMORY)} : row[1] if {_TIER_MEMORY} >= row[0]][0])"
)
_AVAILABLE: Final = (
    f'(var.database.engine == "mysql" ? {_MYSQL_CONNECTIONS} : {_POSTGRESQL_CONNECTIONS})'
    f" - {limits.RESERVED_CONNECTIONS}"
)
_MOST_INSTANCES: Final = f"floor(({_AVAILABLE}) / {_PER_INSTANCE})"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossValidation:
    """A rule between settings, in Terraform's language.

    Attributes:
        of: Name of the rule in stacks/settings/cross_rules.py.
        field: The setting that the message names.
        condition: An expression.
        rule: A template, as the next two.
        host: The setting whose variable holds the block, where that is not `field`: two variables whose validations
            name each other are a cycle.
    """

    of: str
    field: str
    condition: str
    rule: str
    remedy: str
    url: str
    host: str = ""

    def validation(self) -> Validation:
        """The block."""
        return Validation(
            condition=f"try({self.condition}, true)",
            error_message=message(name_of(self.field), self.rule, self.remedy, self.url),
        )


def cross_validations(path: str) -> Iterable[Validation]:
    """The validations between settings that stand at one of them."""
    return (one.validation() for one in CROSS_VALIDATIONS if path == (one.host or one.field))


def _name_fits(  # noqa: PLR0913 - each is a part of the message
    what: str, name: str, longest: int, url: str, *, host: str = "", shorten: str = "name"
) -> CrossValidation:
    return CrossValidation(
        of="_names_fit",
        field="name",
        condition=f'length("{name}") <= {longest}',
        rule=f'{what}, {name}, would have ${{length("{name}")}} characters; {longest} is the most',
        remedy=f'shorten {shorten} by ${{length("{name}") - {longest}}}',
        url=url,
        host=host,
    )


def _host_label_fits(service: str, *, shorten: str = "name") -> CrossValidation:
    label = f"{service}-${{var.project_number}}"
    return _name_fits("the service's host label", label, 63, limits.HOST_URL, shorten=shorten)


def _socket_path_fits(connection_name: str, *, field: str, shorten: str) -> CrossValidation:
    engine = f'${{var.database.engine == "mysql" ? "" : "{names.POSTGRESQL_SOCKET}"}}'
    path = f"{names.CLOUDSQL_FOLDER}/{connection_name}{engine}"
    longest = limits.LONGEST_SOCKET_PATH
    return CrossValidation(
        of="_socket_path_fits",
        field=field,
        condition=f'length("{path}") <= {longest}',
        rule=f'the database\'s socket, {path}, would have ${{length("{path}")}} bytes; {longest} is the most that Linux'
        " takes",
        remedy=f'{shorten} by ${{length("{path}") - {longest}}}',
        url=limits.SOCKET_URL,
    )


def _own_or(field: str) -> str:
    """What a remedy calls the name: the attribute of `names` where the caller has set it, else the prefix."""
    return f'${{var.names.{field} == "" ? "name" : "names.{field}"}}'


NAMED_BY_PREFIX: Final = (
    _name_fits("the service's name", _PREFIXED.service, 49, limits.SERVICE_URL),
    _host_label_fits(_PREFIXED.service),
)
"""The rules on names in the service module, whose callers name the prefix alone."""

CROSS_VALIDATIONS: Final = (
    _name_fits("the service account's id", _NAMES.service_account, 30, limits.SERVICE_ACCOUNT_URL),
    _name_fits("the service's name", _NAMES.service, 49, limits.SERVICE_URL),
    _host_label_fits(_NAMES.service, shorten=_own_or("service")),
    _socket_path_fits(
        f"${{var.project_id}}:${{var.region}}:{_NAMES.instance}", field="name", shorten=f"shorten {_own_or('instance')}"
    ),
    # Of the service module, which has no other rule between the attributes of its `database`.
    _socket_path_fits(
        "${var.database.connection_name}",
        field="database.connection_name",
        shorten="take an instance whose name is shorter",
    ),
    _name_fits("the bucket's name", f"${{{value('bucket.name')}}}", 63, limits.BUCKET_URL, host="bucket.name"),
    CrossValidation(
        of="_names_fit",
        field="bucket.name",
        condition=f'!can(regex("^goog|google|g00gle", {value("bucket.name")}))',
        rule="a bucket name does not start with goog and does not contain google",
        remedy="set bucket.name to another one",
        url=limits.BUCKET_URL,
    ),
    CrossValidation(
        of="_prod_pins_its_image",
        field="service.image",
        condition='var.profile != "prod" || strcontains(var.service.image, "@sha256:")',
        rule="prod names its image by digest: a tag can be moved, and a revision must not change under you",
        remedy="append @sha256:... as printed by `make image-push`",
        url="https://cloud.google.com/run/docs/deploying#images",
    ),
    CrossValidation(
        of="_min_is_at_most_max",
        field="service.min_instances",
        condition="var.service.min_instances <= var.service.max_instances",
        rule="min_instances is at most max_instances, which is ${var.service.max_instances}",
        remedy="lower min_instances or raise max_instances",
        url="https://cloud.google.com/run/docs/configuring/min-instances",
    ),
    CrossValidation(
        of="_memory_fits_the_cpu",
        field="service.memory",
        condition=f"{_MEBIBYTES} >= {_MEMORY_LIMITS}[0] && {_MEBIBYTES} <= {_MEMORY_LIMITS}[1]",
        rule=f"${{var.service.cpu}} CPU takes ${{{_MEMORY_LIMITS}[0]}} to ${{{_MEMORY_LIMITS}[1]}} Mi in the"
        " second-generation environment",
        remedy=f'${{length({_ENOUGH_CPUS}) > 0 ? "Change memory, or set cpu to ${{join(" or ", {_ENOUGH_CPUS})}}"'
        ' : "Choose 512Mi to 32Gi; 1Gi is enough for MLflow"}',
        url="https://cloud.google.com/run/docs/configuring/services/memory-limits",
    ),
    CrossValidation(
        of="_engine_has_the_version",
        field="database.version",
        condition=f'contains(concat([""], {_VERSIONS}), var.database.version)',
        rule=f'${{var.database.engine}} comes in the versions ${{join(", ", {_VERSIONS})}}',
        remedy=f'write "${{reverse({_VERSIONS})[0]}}", or leave it out',
        url=f"{_SQL_DOCS}/{_SQL_ENGINE}/db-versions",
    ),
    CrossValidation(
        of="_tier_exists",
        field="database.tier",
        condition=f"{_CPUS} <= {limits.MOST_CPUS} && {_TIER_MEMORY} % 256 == 0"
        f" && {_TIER_MEMORY} >= {_LEAST_MEMORY} && {_TIER_MEMORY} <= {_MOST_MEMORY}",
        rule=f"a custom tier has at most {limits.MOST_CPUS} CPUs, and per CPU 0.9 to 6.5 GB of memory, at least"
        " 3840 MB, in steps of 256 MB",
        remedy=f"${{{_CPUS} > {limits.MOST_CPUS}"
        f' ? "Choose at most {limits.MOST_CPUS} CPUs"'
        f' : "With ${{{_CPUS}}} CPUs choose ${{ceil({_LEAST_MEMORY} / 256) * 256}} to ${{{_MOST_MEMORY}}} MB'
        ' in steps of 256"}',
        url=f"{_SQL_DOCS}/postgres/create-instance#machine-types",
    ),
    CrossValidation(
        of="_connections_hold",
        field="service.max_instances",
        condition=f"var.service.max_instances * {_PER_INSTANCE} <= {_AVAILABLE}",
        rule=f"two revisions x ${{var.service.max_instances}} instances x {CONNECTIONS_PER_INSTANCE} connections"
        f" = ${{var.service.max_instances * {_PER_INSTANCE}}}, but ${{var.database.tier}} has ${{{_AVAILABLE}}} to"
        " give",
        remedy=f'${{{_MOST_INSTANCES} > 0 ? "Lower max_instances to ${{{_MOST_INSTANCES}}} or take a larger tier"'
        ' : "Take a larger tier"}',
        url=f"{_SQL_DOCS}/{_SQL_ENGINE}/quotas",
    ),
    CrossValidation(
        of="_recovery_has_backups",
        field="database.point_in_time_recovery",
        condition=f"!{value('database.point_in_time_recovery')} || var.database.backups",
        rule="point-in-time recovery starts from a backup",
        remedy="set database.backups = true",
        url=f"{_SQL_DOCS}/postgres/backup-recovery/pitr",
    ),
    CrossValidation(
        of="_recovery_has_backups",
        field="database.high_availability",
        condition=f"!{value('database.high_availability')}"
        f" || (var.database.backups && {value('database.point_in_time_recovery')})",
        rule="high availability needs backups and point-in-time recovery",
        remedy="set database.backups = true and database.point_in_time_recovery = true",
        url=f"{_PROVIDER_DOCS}/r/sql_database_instance.html.markdown",
    ),
    CrossValidation(
        of="_deleted_objects_come_back",
        field="bucket.versioning",
        condition="var.bucket.versioning || var.bucket.soft_delete_days != 0",
        rule="versioning or soft delete is on: one wrong delete must not lose a model",
        remedy="set bucket.versioning = true or bucket.soft_delete_days = 7",
        url="https://cloud.google.com/storage/docs/protection-backup-recovery-overview",
    ),
    CrossValidation(
        of="_somebody_is_allowed",
        field="access.email_domains",
        condition="length(concat(var.access.email_domains, var.access.emails, var.access.service_accounts)) > 0",
        rule="somebody is allowed in: oauth2-proxy does not start without a domain or an address",
        remedy='set access.email_domains = ["example.com"], access.emails or access.service_accounts',
        url="https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#command-line-options",
    ),
    CrossValidation(
        of="_gcloud_is_let_in_openly",
        field="access.extra_audiences",
        condition=f'!contains(var.access.extra_audiences, "{names.GCLOUD_AUDIENCE}")',
        rule="gcloud's audience, which any Google account in the world can get, has a switch of its own",
        remedy="remove it here and set access.gcloud_tokens = true",
        url="https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token",
    ),
    CrossValidation(
        of="_public_clients_stay_out",
        field="access.extra_audiences",
        condition=f"length(setintersection(var.access.extra_audiences, {literal(list(accounts.PUBLIC_CLIENTS))})) == 0",
        rule="application-default credentials and the OAuth playground are clients for which any Google account in the"
        " world gets a token",
        remedy="remove it; programs use a service account, and people a client of your own",
        url="https://cloud.google.com/docs/authentication/get-id-token",
    ),
    CrossValidation(
        of="_prod_is_on_https",
        field="service.public_url",
        condition='var.profile != "prod" || !startswith(var.service.public_url, "http://")',
        rule="prod is reached over https; http://localhost is for trying it on one machine",
        remedy='write the custom domain\'s URL, or leave it out, or set profile = "dev"',
        url="https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation",
    ),
)
