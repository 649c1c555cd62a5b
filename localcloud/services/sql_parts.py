"""Cloud SQL: databases and users of an instance.

A login is checked against the password that was written, an account's by its token. Left out: charset and collation of
what is stored, and the users that a new instance has (postgres, or root), which no document names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Cloud, Resource, crud
from localcloud.services import sql_backups as backups
from localcloud.services import sql_logins as logins
from localcloud.services.sql import API, Instance, key_of
from localcloud.terraform.model import Object, Problem, Refused, Value, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.resource import ApiDefault

# https://dev.mysql.com/doc/refman/8.4/en/charset-mysql.html; the rest of what charsets are named is PostgreSQL's
_COLLATIONS = {"utf8": "utf8_general_ci", "utf8mb4": "utf8mb4_0900_ai_ci"}
_OWNER = "sql.owner"  # users that have logged in, and so own tables


class _Part(Resource):
    """A part of an instance, which may be left to go with it."""

    api = API

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The instance must exist."""
        del config
        if not cloud.store.get(Instance.type, key_of(planned)):
            name = text(planned, "instance")
            message = "googleapi: Error 404: The Cloud SQL instance does not exist., instanceDoesNotExist"
            raise Refused(Problem(message, f"There is no instance {name!r}: use the name of one."))

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return Instance.type, key_of(values)


class Database(_Part):
    """A database in an instance."""

    type = "google_sql_database"
    permissions = crud("cloudsql.databases")
    id_format = "projects/{project}/instances/{instance}/databases/{name}"
    requires_replace = frozenset({"instance", "name", "project"})
    defaults: ClassVar[Mapping[str, Value]] = {"deletion_policy": "DELETE"}
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "charset": "UTF8",
        "collation": lambda database: _COLLATIONS.get(text(database, "charset"), "en_US.UTF8"),
    }
    imports = (
        id_format,
        "instances/{instance}/databases/{name}",
        "{project}/{instance}/{name}",
        "{instance}/{name}",
        "{name}",
    )

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its address follows from its names."""
        del config
        cloud.platform.create_database(planned)
        project, instance, name = (text(planned, part) for part in ("project", "instance", "name"))
        link = f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{project}/instances/{instance}/databases/{name}"
        return {"self_link": link}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """PostgreSQL refuses while a client is connected."""
        cloud.platform.drop_database(values)

    def abandons(self, values: Object) -> bool:
        """With `deletion_policy` ABANDON it stays, and goes with the instance."""
        return text(values, "deletion_policy") == "ABANDON"

    def conflict(self, cloud: Cloud, values: Object) -> str:
        """PostgreSQL's own words, or MySQL's."""
        instance = cloud.store.get(Instance.type, key_of(values)) or {}
        name = text(values, "name")
        detail = f'pq: database "{name}" already exists'
        if text(instance, "database_version").startswith("MYSQL_"):
            detail = f"Error 1007: Can't create database '{name}'; database exists"
        return f"googleapi: Error 400: Invalid request: failed to create database {name}. Detail: {detail}., invalid"


class User(_Part):
    """A user of an instance's databases. Its password is kept as a secret value; an account has none."""

    type = logins.USER
    permissions = crud("cloudsql.users", read=("cloudsql.users.list",))
    corrections = Corrections(sensitive=frozenset({"password"}))
    unset = frozenset({"sql_server_user_details"})
    requires_replace = frozenset({"host", "instance", "name", "project", "type"})
    # Making a user that there is sets its password: https://cloud.google.com/sql/docs/postgres/create-manage-users
    idempotent = True
    # Google does not know these; an update whose answer was lost is so sent again.
    state_only = frozenset({"password_wo_version"})
    computed = frozenset({"host"})
    imports = ("{project}/{instance}/{name}", "{project}/{instance}/{host}/{name}")

    def identify(self, values: Object) -> str:
        """NAME/HOST/INSTANCE, the provider's format."""
        return f"{text(values, 'name')}/{text(values, 'host')}/{text(values, 'instance')}"

    def key(self, values: Object) -> str:
        """The id does not name the project; a user from everywhere (%) needs no host to be found."""
        host = text(values, "host").removeprefix("%")
        return f"{text(values, 'project')}:{self.identify({**values, 'host': host})}"

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """An account must exist, and its instance take tokens."""
        super().precheck(cloud, planned, config)
        if logins.is_account(planned):
            logins.require_account(cloud, planned)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Sets the password; a user of MySQL without a host is one from everywhere."""
        email, named = logins.address(cloud, planned), logins.in_database(cloud, planned)
        if email:
            cloud.platform.create_account(named, logins.server_password(cloud, text(named, "name")))
        else:
            self._set_password(cloud, planned, config)
        instance = cloud.store.get(Instance.type, key_of(planned))
        everywhere = "%" if text(instance, "database_version").startswith("MYSQL_") else ""
        # Only versions 7 and later of the provider have `iam_email`, which is that of IAM's users.
        return {"host": text(planned, "host") or everywhere, "iam_email": email}

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Sets the password: a write-only one only when its version changed, as the provider does."""
        written_again = prior.get("password_wo_version") != planned.get("password_wo_version")
        if written_again or text(config, "password"):
            self._set_password(cloud, planned, config)
        return {}

    def _set_password(self, cloud: Cloud, user: Object, config: Object) -> None:
        password = text(config, "password_wo") or text(config, "password")
        if password:
            cloud.platform.set_password(user, password)
            note_password(cloud, user, password)

    def abandons(self, values: Object) -> bool:
        """With `deletion_policy` ABANDON it stays, with its password, and goes with the instance."""
        return text(values, "deletion_policy") == "ABANDON"

    def delete(self, cloud: Cloud, values: Object) -> None:
        """A PostgreSQL role that owns tables cannot be dropped: https://www.postgresql.org/docs/current/role-removal.html."""
        if cloud.store.get(_OWNER, self.key(values)):
            raise Refused(
                Problem(
                    f"Error 400: role {text(values, 'name')!r} cannot be dropped because some objects depend on it",
                    'It owns tables. Set deletion_policy = "ABANDON": the role then goes with its instance.',
                )
            )
        cloud.platform.drop_user(logins.in_database(cloud, values))

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Its password, and that it owns tables."""
        cloud.store.remove_secret(f"sql-user {self.key(values)}")
        cloud.store.remove(_OWNER, self.key(values))
        backups.note_password(cloud, values, f"sql-user {self.key(values)}", "")


def note_password(cloud: Cloud, user: Object, password: str) -> None:
    """Remembers the password that a google_sql_user has from now on."""
    name = f"sql-user {User().key(user)}"
    cloud.store.put_secret(name, password)
    backups.note_password(cloud, user, name, password)


def log_in(cloud: Cloud, connection_name: str, user: str, password: str) -> None:
    """Logs in as the container of a service would.

    Args:
        cloud: where the instance is.
        connection_name: `PROJECT:REGION:INSTANCE`.
        user: the database user.
        password: its password.

    Raises:
        Refused: no such user, or another password.
    """
    project, _, instance = connection_name.rsplit(":", 2)
    key = User().key({"project": project, "instance": instance, "name": user})
    if cloud.store.secret(f"sql-user {key}") != password:
        raise Refused(
            Problem(
                f'password authentication failed for user "{user}" on {connection_name}',
                "The password in the secret and the user's differ: an apply was cut short between the two, and an "
                "ephemeral password is another one at each apply. Raise the versions of both write-only arguments "
                "(password_wo_version, secret_data_wo_version) and apply again: both are then written.",
            )
        )
    cloud.store.put(_OWNER, key, {"user": key})
