"""Rules on the names of what is made: Google's limits on what is put together from `name`, project and region."""

from typing import Final

from stacks import names
from stacks.settings import limits
from stacks.settings.cross_rule import length_fits, rule
from stacks.settings.derived import DERIVED
from stacks.settings.language import Call, Expression, Setting, Text, choose, equal, text


def _shorten(resource: str) -> Expression:
    """The setting to shorten: the resource's own name where a caller of the module gave one, otherwise the prefix."""
    own = f"names.{resource}"
    return choose(equal(Setting(own), DERIVED[own]), "shorten name", f"shorten {own}")


def _socket(connection_name: Expression) -> Text:
    """The longest path of the database's socket."""
    engine = Setting("database.engine")
    folder, postgresql = (names.socket_path("{connection}", one) for one in ("mysql", "postgresql"))
    last = choose(equal(engine, "mysql"), "", postgresql.removeprefix(folder))
    return text(f"{folder}{{last}}", connection=connection_name, last=last)


_CHARACTERS: Final = "{value}, would have {length} characters; {longest} is the most"
_SOCKET: Final = "the database's socket, {value}, would have {length} bytes; {longest} is the most that Linux takes"
_BUCKET: Final = Setting("bucket.name")

NAME_RULES: Final = (
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
    length_fits(
        "socket_path_of_the_serving_instance_fits",
        "database.serving_instance",
        _SOCKET,
        _socket(text("{project.id}:{region}:{database.serving_instance}")),
        limits.LONGEST_SOCKET_PATH,
        limits.SOCKET_URL,
        shorten="take an instance whose name is shorter",
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
    length_fits(
        "job_accounts_fit",
        "name",
        f"the id of a job's service account, {_CHARACTERS}",
        choose(Setting("jobs.enabled"), text(names.CloudNames.of("{names.service}").job_account("traces")), ""),
        30,
        limits.SERVICE_ACCOUNT_URL,
        shorten=text("set jobs.enabled = false or {shorten}", shorten=_shorten("service")),
    ),
)
