"""Cloud SQL: instances, databases and users.

A login is checked against the password that was written; the server itself is the platform's. Left out: replicas,
backups, maintenance, and the users that a new instance has (postgres, or root), which no document names.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from localcloud.resource import Cloud, Resource, name_problem, protected, stable_number
from localcloud.services.iam import Target
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import Given
    from localcloud.terraform.model import Block

_API = "sqladmin.googleapis.com"


_ADDRESSES = ("settings", 0, "ip_configuration", 0)
_BACKUPS = ("settings", 0, "backup_configuration", 0)
# https://dev.mysql.com/doc/refman/8.4/en/charset-mysql.html; the rest of what charsets are named is PostgreSQL's
_COLLATIONS = {"utf8": "utf8_general_ci", "utf8mb4": "utf8mb4_0900_ai_ci"}
_PLUS_TIERS = ("db-perf-optimized-", "db-c4a-highmem-")
_NEWEST_ENTERPRISE = 15  # of PostgreSQL; later ones are Enterprise Plus unless the edition is set


def _edition(instance: Object) -> str:
    """The edition that an instance has: https://cloud.google.com/sql/docs/postgres/editions-intro."""
    kind, _, number = text(instance, "database_version").partition("_")
    newer = int(number.partition("_")[0]) > _NEWEST_ENTERPRISE if kind == "POSTGRES" else number >= "8_4"
    return text(instance, "settings", 0, "edition") or ("ENTERPRISE_PLUS" if newer else "ENTERPRISE")


def _is_plus(instance: Object) -> bool:
    return _edition(instance) == "ENTERPRISE_PLUS"


def _retention(instance: Object) -> Value:
    return [{"retained_backups": 15 if _is_plus(instance) else 7, "retention_unit": "COUNT"}]


def _log_days(instance: Object) -> int:
    return 14 if _is_plus(instance) else 7


class Instance(Resource):
    """A database server."""

    type = "google_sql_database_instance"
    api = _API
    id_format = "{name}"
    immutable = frozenset({"encryption_key_name", "name", "project", "region"})
    assigned = frozenset(
        {
            "available_maintenance_versions", "connection_name", "dns_name", "dns_names", "first_ip_address",
            "ip_address", "private_ip_address", "psc_service_attachment_link", "public_ip_address",
            "self_link", "server_ca_cert", "service_account_email_address",
        }
    )  # fmt: skip
    defaults: ClassVar[Mapping[str, Value]] = {
        "deletion_protection": True,
        "settings.activation_policy": "ALWAYS",
        "settings.availability_type": "ZONAL",
        "settings.backup_configuration.backup_retention_settings.retention_unit": "COUNT",
        "settings.disk_autoresize": True,
        "settings.disk_autoresize_limit": 0,
        "settings.ip_configuration.ipv4_enabled": True,
        "settings.pricing_plan": "PER_USE",
    }
    # https://cloud.google.com/sql/docs/postgres/admin-api/rest/v1/instances
    given: ClassVar[Mapping[str, Given]] = {
        "encryption_key_name": "",
        "instance_type": "CLOUD_SQL_INSTANCE",
        "maintenance_version": lambda instance: f"{text(instance, 'database_version')}.R20251004.01_07",
        "node_count": 0,
        "replica_names": [],
        "replication_cluster": [{"dr_replica": False, "failover_dr_replica_name": "", "psa_write_endpoint": ""}],
        "settings.backup_configuration": lambda instance: [
            {
                "backup_retention_settings": _retention(instance),
                "enabled": False,
                "start_time": "12:00",
                "transaction_log_retention_days": _log_days(instance),
            }
        ],
        "settings.backup_configuration.backup_retention_settings": _retention,
        "settings.backup_configuration.start_time": "12:00",
        "settings.backup_configuration.transaction_log_retention_days": _log_days,
        "settings.connector_enforcement": "NOT_REQUIRED",
        "settings.data_cache_config": [{"data_cache_enabled": False}],
        "settings.disk_size": lambda instance: 20 if _is_plus(instance) else 10,
        "settings.disk_type": "PD_SSD",
        "settings.edition": _edition,
        "settings.effective_availability_type": lambda instance: text(instance, "settings", 0, "availability_type"),
        "settings.ip_configuration": [{"ipv4_enabled": True, "ssl_mode": "ALLOW_UNENCRYPTED_AND_ENCRYPTED"}],
        "settings.ip_configuration.server_ca_mode": "GOOGLE_MANAGED_INTERNAL_CA",
        "settings.ip_configuration.ssl_mode": "ALLOW_UNENCRYPTED_AND_ENCRYPTED",
        "settings.location_preference": lambda instance: [
            {"follow_gae_application": "", "secondary_zone": "", "zone": f"{text(instance, 'region')}-b"}
        ],
        "settings.user_labels": {},
        "settings.version": 1,
    }
    imports = ("projects/{project}/instances/{name}", "{project}/{name}", "{name}")

    def key(self, values: Object) -> str:
        """An instance's name is unique in its project only."""
        return f"{text(values, 'project')}:{text(values, 'name')}"

    def taken(self, cloud: Cloud, values: Object) -> str:
        """Also in another region."""
        del cloud
        return (
            f"Error, failed to create instance {text(values, 'name')}: googleapi: Error 409: "
            "The Cloud SQL instance already exists., instanceAlreadyExists"
        )

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
        """What Google refuses of the instance by itself, in its words."""
        del cloud, config
        edition, tier = _edition(values), text(values, "settings", 0, "tier")
        if _is_plus(values) != tier.startswith(_PLUS_TIERS):
            raise _invalid(
                f"Invalid request: Invalid Tier ({tier}) for ({edition}) Edition.",
                "Set settings.edition and a tier of it: https://cloud.google.com/sql/docs/postgres/editions-intro",
            )
        mysql = text(values, "database_version").startswith("MYSQL_")
        recovers = "binary_log_enabled" if mysql else "point_in_time_recovery_enabled"
        recovery = at(values, *_BACKUPS, recovers) is True
        if mysql and text(values, "settings", 0, "availability_type") == "REGIONAL" and not recovery:
            raise _invalid(
                "Invalid flag for instance role: MySQL HA non-replica instances need to have binary logging enabled.",
                "Set backup_configuration.binary_log_enabled: https://cloud.google.com/sql/docs/mysql/high-availability",
            )
        said, most = at(values, *_BACKUPS, "transaction_log_retention_days"), 35 if _is_plus(values) else 7
        days = said if isinstance(said, int | float) else _log_days(values)
        if not 1 <= days <= most:
            raise _invalid(
                f"Invalid request: The number of transaction log retention days must be between 1 and {most}.",
                f"{edition} keeps logs for so long: https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr",
            )
        backups = at(values, *_BACKUPS, "backup_retention_settings", 0, "retained_backups")
        if recovery and isinstance(backups, int | float) and backups < days:
            raise _invalid(
                "Invalid request: backup retention should be > transaction log retention.",
                f"{backups:g} backups are kept, and {days:g} days of logs: lower "
                "backup_configuration.transaction_log_retention_days, or keep more backups. "
                "https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr",
            )

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its addresses (192.0.2.0/24 and 198.51.100.0/24 are for documentation: nothing listens there)."""
        del config
        project, name = text(values, "project"), text(values, "name")
        suffix = stable_number(project, name, digits=6)
        account = f"p{cloud.project_number(project)}-{suffix}@gcp-sa-cloud-sql.iam.gserviceaccount.com"
        number = int(stable_number(project, name, digits=2)) % 250 + 1
        has_public_ip = at(values, *_ADDRESSES, "ipv4_enabled") is not False
        address = f"192.0.2.{number}" if has_public_ip else ""
        private_address = f"198.51.100.{number}" if text(values, *_ADDRESSES, "private_network") else ""
        # What PostgreSQL connects to, such as a replica's source, sees another address than what connects to it.
        kinds = ("PRIMARY", "OUTGOING") if text(values, "database_version").startswith("POSTGRES_") else ("PRIMARY",)
        connection_name = f"{project}:{text(values, 'region')}:{name}"
        if prior is None:
            time.sleep(cloud.circumstances.delays.instance)
        if prior is None or prior.get("settings") != values.get("settings"):
            cloud.platform.run_database_server(values | {"connection_name": connection_name})
        return {
            "available_maintenance_versions": [],
            "connection_name": connection_name,
            "dns_name": "",
            "dns_names": [],
            "first_ip_address": address or private_address,
            "ip_address": [
                {"ip_address": found, "time_to_retire": "", "type": kind}
                for kind, found in (*((kind, address) for kind in kinds), ("PRIVATE", private_address))
                if found
            ],
            "private_ip_address": private_address,
            "psc_service_attachment_link": "",
            "public_ip_address": address,
            "self_link": f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{project}/instances/{name}",
            "server_ca_cert": [
                dict.fromkeys(("cert", "common_name", "create_time", "expiration_time", "sha1_fingerprint"), "")
            ],
            "service_account_email_address": account,
        }

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Its databases and users go with it. Protection is the default of both switches that can forbid it."""
        if values.get("deletion_protection") is not False:
            raise protected(
                "Error, failed to delete instance because deletion_protection is set to true. "
                "Set it to false to proceed with instance deletion",
                "deletion_protection",
            )
        if at(values, "settings", 0, "deletion_protection_enabled") is True:
            raise protected(
                "Error, failed to delete instance: googleapi: Error 400: The instance is protected. Please disable the "
                "deletion protection and try again. To disable deletion protection, update the instance settings with "
                "deletionProtectionEnabled set to false., invalid",
                "settings.deletion_protection_enabled",
            )
        cloud.platform.remove_database_server(values)
        for part in (Database(), User()):
            for found in cloud.store.all(part.type):
                if self.key(_instance_of(found)) == self.key(values):
                    part.erase(cloud, found)


def _invalid(message: str, remedy: str) -> Refused:
    return Refused(Problem(f"googleapi: Error 400: {message}, invalid", remedy, ("settings",)))


class _Part(Resource):
    """What belongs to an instance, and may be left to go with it."""

    api = _API

    def admit(self, cloud: Cloud, values: Object, config: Object) -> None:
        """The instance must exist."""
        del config
        if not cloud.store.get(Instance.type, Instance().key(_instance_of(values))):
            name = text(values, "instance")
            message = "googleapi: Error 404: The Cloud SQL instance does not exist., instanceDoesNotExist"
            raise Refused(Problem(message, f"There is no instance {name!r}: use the name of one."))

    def erase(self, cloud: Cloud, values: Object) -> None:
        """Forgets it together with its instance."""
        cloud.store.remove(self.type, self.key(values))


class Database(_Part):
    """A database in an instance."""

    type = "google_sql_database"
    id_format = "projects/{project}/instances/{instance}/databases/{name}"
    immutable = frozenset({"instance", "name", "project"})
    assigned = frozenset({"self_link"})
    defaults: ClassVar[Mapping[str, Value]] = {"deletion_policy": "DELETE"}
    given: ClassVar[Mapping[str, Given]] = {
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

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Gives it its address."""
        del config, prior
        cloud.platform.create_database(values)
        project, instance, name = (text(values, part) for part in ("project", "instance", "name"))
        link = f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{project}/instances/{instance}/databases/{name}"
        return {"self_link": link}

    def remove(self, cloud: Cloud, values: Object) -> None:
        """Drops it."""
        cloud.platform.drop_database(values)

    def abandons(self, values: Object) -> bool:
        """With `deletion_policy` ABANDON it stays, and goes with the instance."""
        return text(values, "deletion_policy") == "ABANDON"

    def taken(self, cloud: Cloud, values: Object) -> str:
        """PostgreSQL's own words, or MySQL's."""
        instance = cloud.store.get(Instance.type, Instance().key(_instance_of(values))) or {}
        name = text(values, "name")
        detail = f'pq: database "{name}" already exists'
        if text(instance, "database_version").startswith("MYSQL_"):
            detail = f"Error 1007: Can't create database '{name}'; database exists"
        return f"googleapi: Error 400: Invalid request: failed to create database {name}. Detail: {detail}., invalid"


class User(_Part):
    """A user of an instance's databases. Its password is kept as a secret value."""

    type = "google_sql_user"
    immutable = frozenset({"host", "instance", "name", "project"})
    # Google does not know these; an update whose answer was lost is so sent again.
    kept_by_terraform = frozenset({"password_wo_version"})
    assigned = frozenset({"host"})
    imports = ("{project}/{instance}/{name}", "{project}/{instance}/{host}/{name}")

    def identify(self, values: Object) -> str:
        """NAME/HOST/INSTANCE, the provider's format."""
        return f"{text(values, 'name')}/{text(values, 'host')}/{text(values, 'instance')}"

    def key(self, values: Object) -> str:
        """The id does not name the project; a user from everywhere (%) needs no host to be found."""
        host = text(values, "host").removeprefix("%")
        return f"{text(values, 'project')}:{self.identify({**values, 'host': host})}"

    def realize(self, cloud: Cloud, values: Object, config: Object, prior: Object | None) -> Object:
        """Sets the password: a write-only one when it is new or its version changed, as the provider does."""
        password = text(config, "password_wo") or text(config, "password")
        written_again = prior is None or prior.get("password_wo_version") != values.get("password_wo_version")
        if password and (written_again or text(config, "password")):
            cloud.platform.set_password(values, password)
            cloud.store.put_secret(f"sql-user {self.key(values)}", password)
        instance = cloud.store.get(Instance.type, Instance().key(_instance_of(values)))
        everywhere = "%" if text(instance, "database_version").startswith("MYSQL_") else ""
        return {"host": text(values, "host") or everywhere}

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
        cloud.platform.drop_user(values)
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
