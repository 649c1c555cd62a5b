"""The rules that hold between settings, each said once: files are held against them, and variables carry them, too."""

from typing import Final

from image.mlflow_cloudrun import accounts
from stacks import names
from stacks.mlflow import CONNECTIONS_PER_INSTANCE
from stacks.settings import limits
from stacks.settings.cross_rule import CrossRule, length_fits, rule
from stacks.settings.derived import DERIVED, IN_PROD
from stacks.settings.language import Call, Expression, Fallback, Setting, Text, choose, equal, node, text


def _shorten(resource: str) -> Expression:
    """What can be shortened: the resource's own name, where a caller of the module gave one, else the prefix."""
    own = f"names.{resource}"
    return choose(equal(Setting(own), DERIVED[own]), "shorten name", f"shorten {own}")


def _socket(connection_name: Expression) -> Text:
    """The longest path of the database's socket."""
    engine = Setting("database.engine")
    folder, postgresql = (names.socket_path("{connection}", one) for one in ("mysql", "postgresql"))
    last = choose(equal(engine, "mysql"), "", postgresql.removeprefix(folder))
    return text(f"{folder}{{last}}", connection=connection_name, last=last)


def _stays_out(name: str, client: str, must: str, remedy: str, url: str) -> CrossRule:
    """A rule that refuses one client's audience in the list of further ones."""
    audiences = Setting("access.extra_audiences")
    return rule(name, audiences.path, ~Call("contains", audiences, client), must, remedy, url, wrong=client)


_ID_TOKENS: Final = "https://cloud.google.com/docs/authentication/get-id-token"
_CHARACTERS: Final = "{value}, would have {length} characters; {longest} is the most"
_SOCKET: Final = "the database's socket, {value}, would have {length} bytes; {longest} is the most that Linux takes"
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
_AVAILABLE: Final = (
    choose(equal(Setting("database.engine"), "mysql"), _MYSQL_CONNECTIONS, _POSTGRESQL_CONNECTIONS)
    - limits.RESERVED_CONNECTIONS
)
_MOST_INSTANCES: Final = Call("floor", _AVAILABLE / _PER_INSTANCE)
_NEEDED: Final = Setting("service.max_instances") * _PER_INSTANCE

_ALLOWED: Final = ("access.email_domains", "access.emails", "access.service_accounts")

CROSS_RULES: Final = (
    length_fits(
        "service_account_fits",
        "name",
        f"the service account's id, {_CHARACTERS}",
        Setting("names.service_account"),
        30,
        limits.SERVICE_ACCOUNT_URL,
        shorten="shorten name",
    ),
    length_fits(
        "service_name_fits",
        "name",
        f"the service's name, {_CHARACTERS}",
        Setting("names.service"),
        49,
        limits.SERVICE_URL,
        shorten="shorten name",
    ),
    length_fits(
        "host_label_fits",
        "name",
        f"the service's host label, {_CHARACTERS}",
        text("{names.service}-{project.number}"),
        63,
        limits.HOST_URL,
        shorten=_shorten("service"),
    ),
    length_fits(
        "bucket_name_fits",
        "name",
        f"the bucket's name, {_CHARACTERS}",
        _BUCKET,
        63,
        limits.BUCKET_URL,
        shorten="shorten name",
        variable="bucket",
    ),
    rule(
        "bucket_name_is_not_googles",
        "bucket.name",
        ~Call("matches", "^goog|google|g00gle", _BUCKET),
        "a bucket name does not start with goog and does not contain google",
        "set bucket.name to another one",
        limits.BUCKET_URL,
    ),
    length_fits(
        "socket_path_fits",
        "name",
        _SOCKET,
        _socket(text("{project.id}:{region}:{names.instance}")),
        limits.LONGEST_SOCKET_PATH,
        limits.SOCKET_URL,
        shorten=_shorten("instance"),
    ),
    # Of the service module, whose instance exists.
    length_fits(
        "socket_path_of_an_existing_instance_fits",
        "database.connection_name",
        _SOCKET,
        _socket(Setting("database.connection_name")),
        limits.LONGEST_SOCKET_PATH,
        limits.SOCKET_URL,
        shorten="take an instance whose name is shorter",
    ),
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
        _NEEDED <= _AVAILABLE,
        text(
            f"two revisions x {{service.max_instances}} instances x {CONNECTIONS_PER_INSTANCE} connections"
            " = {needed}, but {database.tier} has {available} to give",
            needed=_NEEDED,
            available=_AVAILABLE,
        ),
        text("lower max_instances to {most} or take a larger tier", most=_MOST_INSTANCES),
        text(f"{_SQL_DOCS}/{{docs}}/quotas", docs=_ENGINE_DOCS),
    ),
    rule(
        "only_a_growing_disk_has_a_limit",
        "database.disk_limit_gb",
        equal(Setting("database.disk_limit_gb"), 0) | equal(Setting("database.disk_gb"), 0),
        "a limit is for a disk that grows by itself, and one of {database.disk_gb} GB does not",
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
        "buckets_differ",
        "state.bucket",
        ~equal(Setting("state.bucket"), _BUCKET),
        "state and artifacts live in two buckets: whoever reads artifacts must not read the state",
        'name another one, such as "{project.id}-tfstate"',
        "https://developer.hashicorp.com/terraform/language/backend/gcs",
    ),
    rule(
        "somebody_is_allowed",
        "access.email_domains",
        node(0) < Call("length", Call("concat", *map(Setting, _ALLOWED))),
        "somebody is allowed in: oauth2-proxy does not start without a domain or an address",
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
        "prod_is_on_https",
        "service.public_url",
        ~IN_PROD | ~Call("starts", Setting("service.public_url"), "http://"),
        "prod is reached over https; http://localhost is for trying it on one machine",
        'write the custom domain\'s URL, or leave it out, or set profile = "dev"',
        "https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation",
    ),
)
