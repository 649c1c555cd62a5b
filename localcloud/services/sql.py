"""Cloud SQL: instances, databases and users.

Left out: a running database (a login is checked against the password that was written), replicas, backups, maintenance,
and the week for which Google keeps the name of a deleted instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.model import Object, Problem, Refused, at, objects, text
from localcloud.resource import Cloud, Resource, name_problem, protected, stable_number
from localcloud.services.iam import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.model import Block

_API = "sqladmin.googleapis.com"


class Instance(Resource):
    """A database server."""

    type = "google_sql_database_instance"
    api = _API
    id_format = "{name}"
    immutable = frozenset({"encryption_key_name", "name", "project", "region"})
    assigned = frozenset(
        {
            "available_maintenance_versions", "connection_name", "dns_name", "dns_names", "first_ip_address",
            "instance_type", "ip_address", "private_ip_address", "psc_service_attachment_link", "public_ip_address",
            "self_link", "server_ca_cert", "service_account_email_address",
        }
    )  # fmt: skip
    imports = ("projects/{project}/instances/{name}", "{project}/{name}", "{name}")

    def key(self, values: Object) -> str:
        """An instance's name is unique in its project only."""
        return f"{text(values, 'project')}:{text(values, 'name')}"

    def check(self, values: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/sql/docs/postgres/instance-settings has them."""
        yield from name_problem(
            values,
            "name",
            r"[a-z]([a-z0-9-]{0,95}[a-z0-9])?",
            "Lower-case letters, digits and hyphens, a letter first, no hyphen last, at most 98 with the project's: "
            "https://cloud.google.com/sql/docs/postgres/instance-settings",
        )
        if not objects(values, "settings") and not objects(values, "clone") and at(values, "settings") == []:
            yield Problem("settings are missing", "An instance that is no clone needs a settings block.", ("settings",))

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The provider's region stands in for a missing one."""
        return super().known(cloud, block, values) | {"region": values.get("region") or cloud.region}

    def replacing(self, prior: Object, planned: Object) -> list[str]:
        """A disk never shrinks, and its type never changes."""
        names = super().replacing(prior, planned)
        before, after = (at(values, "settings", 0, "disk_size") for values in (prior, planned))
        shrinks = isinstance(before, int | float) and isinstance(after, int | float) and after < before
        if shrinks or text(prior, "settings", 0, "disk_type") != text(planned, "settings", 0, "disk_type"):
            names.append("settings")
        return names

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """The edition decides which tiers there are: https://cloud.google.com/sql/docs/postgres/editions-intro."""
        del cloud, config
        tier, version = text(values, "settings", 0, "tier"), text(values, "database_version")
        # PostgreSQL 16 and later are created as Enterprise Plus unless the edition is set.
        newer = version.startswith("POSTGRES_") and int(version.removeprefix("POSTGRES_").partition("_")[0]) >= 16  # noqa: PLR2004
        edition = text(values, "settings", 0, "edition") or ("ENTERPRISE_PLUS" if newer else "ENTERPRISE")
        if (edition == "ENTERPRISE_PLUS") != tier.startswith("db-perf-optimized-"):
            raise Refused(
                Problem(
                    f"Error 400: invalid tier ({tier}) for edition {edition}",
                    "Set settings.edition and a tier of it: https://cloud.google.com/sql/docs/postgres/editions-intro",
                    ("settings",),
                )
            )

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its addresses (192.0.2.0/24 is for documentation: nothing listens there)."""
        del config, prior
        project, name = text(values, "project"), text(values, "name")
        account = f"p{cloud.project_number(project)}@gcp-sa-cloud-sql.iam.gserviceaccount.com"
        has_public_ip = at(values, "settings", 0, "ip_configuration", 0, "ipv4_enabled") is not False
        address = f"192.0.2.{int(stable_number(project, name, digits=2)) % 250 + 1}" if has_public_ip else ""
        return {
            "available_maintenance_versions": [],
            "connection_name": f"{project}:{text(values, 'region')}:{name}",
            "dns_name": "",
            "dns_names": [],
            "first_ip_address": address,
            "instance_type": "CLOUD_SQL_INSTANCE",
            "ip_address": [{"ip_address": address, "time_to_retire": "", "type": "PRIMARY"}] if address else [],
            "private_ip_address": "",
            "psc_service_attachment_link": "",
            "public_ip_address": address,
            "self_link": f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{project}/instances/{name}",
            "server_ca_cert": [],
            "service_account_email_address": account,
        }

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Its databases and users go with it. Protection is the default of both switches that can forbid it."""
        if values.get("deletion_protection") is not False:
            raise protected(f"Cloud SQL instance {text(values, 'name')}", "deletion_protection")
        if at(values, "settings", 0, "deletion_protection_enabled") is True:
            raise protected(f"Cloud SQL instance {text(values, 'name')}", "settings.deletion_protection_enabled")
        for part in (Database(), User()):
            for found in cloud.store.all(part.type):
                if self.key(_instance_of(found)) == self.key(values):
                    part.erase(cloud, found)


class _Part(Resource):
    """What belongs to an instance, and may be left to go with it."""

    api = _API

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """The instance must exist."""
        del config
        if not cloud.store.get(Instance.type, Instance().key(_instance_of(values))):
            raise Refused(Problem(f"Error 404: no Cloud SQL instance {text(values, 'instance')}", "Use its name."))

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Drops it, unless `deletion_policy` is ABANDON: then it goes with the instance."""
        del cloud, values

    def erase(self, cloud: Cloud, values: Object) -> None:
        """Forgets it together with its instance."""
        cloud.store.remove(self.type, self.key(values))


class Database(_Part):
    """A database in an instance."""

    type = "google_sql_database"
    id_format = "projects/{project}/instances/{instance}/databases/{name}"
    immutable = frozenset({"instance", "name", "project"})
    assigned = frozenset({"self_link"})
    imports = (
        id_format,
        "instances/{instance}/databases/{name}",
        "{project}/{instance}/{name}",
        "{instance}/{name}",
        "{name}",
    )

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its address."""
        del cloud, config, prior
        project, instance, name = (text(values, part) for part in ("project", "instance", "name"))
        link = f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{project}/instances/{instance}/databases/{name}"
        return {"self_link": link}


class User(_Part):
    """A user of an instance's databases. Its password is kept as a secret value."""

    type = "google_sql_user"
    immutable = frozenset({"host", "instance", "name", "project"})
    imports = ("{project}/{instance}/{host}/{name}", "{project}/{instance}/{name}")
    # Google does not know these; an update whose answer was lost is so sent again.
    kept_by_terraform = frozenset({"password_wo_version"})

    def identify(self, values: Object) -> str:
        """NAME/HOST/INSTANCE, the provider's format."""
        return f"{text(values, 'name')}/{text(values, 'host')}/{text(values, 'instance')}"

    def key(self, values: Object) -> str:
        """The id does not name the project."""
        return f"{text(values, 'project')}:{self.identify(values)}"

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Sets the password: a write-only one when it is new or its version changed, as the provider does."""
        password = text(config, "password_wo") or text(config, "password")
        written_again = prior is None or prior.get("password_wo_version") != values.get("password_wo_version")
        if password and (written_again or text(config, "password")):
            cloud.store.put_secret(f"sql-user {self.key(values)}", password)
        return {}

    def remove(self, cloud: Cloud, values: Object) -> None:
        """A PostgreSQL role that owns tables cannot be dropped: https://www.postgresql.org/docs/current/role-removal.html."""
        if text(values, "deletion_policy") == "ABANDON":
            return
        if cloud.store.get(OWNER, self.key(values)):
            raise Refused(
                Problem(
                    f"Error 400: role {text(values, 'name')!r} cannot be dropped because some objects depend on it",
                    'It owns tables. Set deletion_policy = "ABANDON": the role then goes with its instance.',
                )
            )
        self.erase(cloud, values)

    def erase(self, cloud: Cloud, values: Object) -> None:
        """Forgets the password too."""
        super().erase(cloud, values)
        cloud.store.remove_secret(f"sql-user {self.key(values)}")
        cloud.store.remove(OWNER, self.key(values))


OWNER = "sql.owner"  # users that have logged in, and so own tables


def connect(cloud: Cloud, connection_name: str, user: str, password: str) -> None:
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
                "The connection string in the secret and the user's password differ: an apply was cut short between "
                "the two, and each apply makes a new password. Raise the database rotation number and apply again: "
                "both are then written anew.",
            )
        )
    cloud.store.put(OWNER, key, {"user": key})


def target(connection_name: str) -> Target:
    """An instance, for `iam.allows`, with the names of https://cloud.google.com/sql/docs/postgres/iam-conditions."""
    project, _, instance = connection_name.rsplit(":", 2)
    return Target(
        project=project, name=f"projects/{project}/instances/{instance}", type="sqladmin.googleapis.com/Instance"
    )


def require_instance(cloud: Cloud, connection_name: str) -> None:
    """Refuses a connection to an instance that does not exist.

    Raises:
        Refused: naming the instance.
    """
    parts = connection_name.rsplit(":", 2)
    found = cloud.store.get(Instance.type, f"{parts[0]}:{parts[-1]}") if len(parts) == 3 else None  # noqa: PLR2004
    if not found or found["connection_name"] != connection_name:
        raise Refused(
            Problem(f"Cloud SQL instance {connection_name!r} not found", "Use connection_name of the instance.")
        )


def _instance_of(values: Object) -> Object:
    return {"project": values.get("project"), "name": values.get("instance")}
