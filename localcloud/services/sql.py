"""Cloud SQL: instances.

The server itself is the platform's. Left out: replicas, maintenance.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from localcloud.resource import Api, Cloud, Resource, crud, name_problem, protected, stable_number
from localcloud.services import kms, networks, sql_certificates
from localcloud.services import sql_backups as backups
from localcloud.services import sql_editions as editions
from localcloud.services.iam import Target
from localcloud.services.sql_keys import instance_key
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.resource import ApiDefault
    from localcloud.terraform.model import Block

API = Api("sqladmin.googleapis.com", "Cloud SQL Admin API")


_ADDRESSES = ("settings", 0, "ip_configuration", 0)


class Instance(Resource):
    """A database server."""

    type = "google_sql_database_instance"
    api = API
    permissions = crud("cloudsql.instances")
    corrections = Corrections(
        sensitive=frozenset({"root_password", "server_ca_cert", "replica_configuration.password"}),
    )
    id_format = "{name}"
    requires_replace = frozenset({"encryption_key_name", "name", "project", "region"})
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
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "encryption_key_name": "",
        "instance_type": "CLOUD_SQL_INSTANCE",
        "maintenance_version": lambda instance: f"{text(instance, 'database_version')}.R20251004.01_07",
        "node_count": 0,
        "replica_names": [],
        "replication_cluster": [{"dr_replica": False, "failover_dr_replica_name": "", "psa_write_endpoint": ""}],
        "settings.backup_configuration": lambda instance: [
            {
                "backup_retention_settings": editions.retention(instance),
                "enabled": False,
                "start_time": "12:00",
                "transaction_log_retention_days": editions.log_days(instance),
            }
        ],
        "settings.backup_configuration.backup_retention_settings": editions.retention,
        "settings.backup_configuration.start_time": "12:00",
        "settings.backup_configuration.transaction_log_retention_days": editions.log_days,
        "settings.connector_enforcement": "NOT_REQUIRED",
        "settings.data_cache_config": [{"data_cache_enabled": False}],
        "settings.disk_size": lambda instance: 20 if editions.is_plus(instance) else 10,
        "settings.disk_type": "PD_SSD",
        "settings.edition": editions.edition,
        "settings.effective_availability_type": lambda instance: text(instance, "settings", 0, "availability_type"),
        "settings.ip_configuration": [
            {
                "ipv4_enabled": True,
                "server_ca_mode": "GOOGLE_MANAGED_INTERNAL_CA",
                "ssl_mode": "ALLOW_UNENCRYPTED_AND_ENCRYPTED",
            }
        ],
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
        """Its name is unique in its project only."""
        return instance_key(values)

    def conflict(self, cloud: Cloud, values: Object) -> str:
        """Also in another region."""
        del cloud
        return (
            f"Error, failed to create instance {text(values, 'name')}: googleapi: Error 409: "
            "The Cloud SQL instance already exists., instanceAlreadyExists"
        )

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/sql/docs/postgres/instance-settings has them."""
        yield from name_problem(
            config,
            "name",
            r"[a-z]([a-z0-9-]{0,95}[a-z0-9])?",
            "Lower-case letters, digits and hyphens, a letter first, no hyphen last, at most 98 with the project's: "
            "https://cloud.google.com/sql/docs/postgres/instance-settings",
        )
        if not objects(config, "settings") and not objects(config, "clone") and at(config, "settings") == []:
            yield Problem("settings are missing", "An instance that is no clone needs a settings block.", ("settings",))

    def known(self, cloud: Cloud, block: Block, values: Object) -> Object:
        """The provider's region stands in for a missing one."""
        return super().known(cloud, block, values) | {"region": values.get("region") or cloud.region}

    def replaced_by(self, prior: Object, planned: Object) -> list[str]:
        """A disk never shrinks, its type never changes, and who was in a network stays in one."""
        names = super().replaced_by(prior, planned)
        before, after = (at(values, "settings", 0, "disk_size") for values in (prior, planned))
        shrinks = isinstance(before, int | float) and isinstance(after, int | float) and after < before
        leaves = networks.private_network(prior) and not networks.private_network(planned)
        if shrinks or leaves or text(prior, "settings", 0, "disk_type") != text(planned, "settings", 0, "disk_type"):
            names.append("settings")
        return names

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The edition must allow it, the key be there, and an address."""
        del config
        editions.check(planned)
        require_key(cloud, planned)
        require_address(cloud, planned)

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Takes the time that an instance takes, and starts its server."""
        del config
        time.sleep(cloud.circumstances.delays.instance)
        return self._run(cloud, planned, None)

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Restarts its server if the settings changed."""
        del config
        return self._run(cloud, planned, prior)

    def _run(self, cloud: Cloud, values: Object, prior: Object | None) -> Object:
        computed = addresses(cloud, values)
        if prior is None or prior.get("settings") != values.get("settings"):
            cloud.platform.run_database_server(values | computed)
            backups.follow_log(cloud, values, prior)
        return computed

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Refuses while either protection is on; the provider's is, by default."""
        if values.get("deletion_protection") is not False:
            raise protected(
                "Error, failed to delete instance because deletion_protection is set to true. "
                "Set it to false to proceed with instance deletion",
                "deletion_protection",
            )
        require_unprotected(values)
        cloud.platform.remove_database_server(values)

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Its backups go with it, unless it says that they stay."""
        backups.forget(cloud, values)
        sql_certificates.forget(cloud, values)


def addresses(cloud: Cloud, values: Object) -> Object:
    """Returns the attributes that Google computes for an instance, with addresses that are for documentation."""
    project, name = text(values, "project"), text(values, "name")
    suffix = stable_number(project, name, digits=6)
    account = f"p{cloud.project_number(project)}-{suffix}@gcp-sa-cloud-sql.iam.gserviceaccount.com"
    number = int(stable_number(project, name, digits=2)) % 250 + 1
    has_public_ip = at(values, *_ADDRESSES, "ipv4_enabled") is not False
    address = f"192.0.2.{number}" if has_public_ip else ""
    private_address = networks.address(cloud, values)
    authority = sql_certificates.identity(cloud, values).authority if private_address else ""
    # What PostgreSQL connects to, such as a replica's source, sees another address than what connects to it.
    kinds = ("PRIMARY", "OUTGOING") if text(values, "database_version").startswith("POSTGRES_") else ("PRIMARY",)
    connection_name = f"{project}:{text(values, 'region')}:{name}"
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
        "server_ca_cert": [sql_certificates.described(authority)],
        "service_account_email_address": account,
    }


def require_key(cloud: Cloud, instance: Object) -> None:
    """Refuses an instance whose key its service's agent may not use: it would not start, or stop.

    Raises:
        Refused: https://cloud.google.com/sql/docs/postgres/cmek
    """
    project, region = text(instance, "project"), text(instance, "region")
    key = text(instance, "encryption_key_name")
    kms.require_use(cloud, key, service="sqladmin", project=project, location=region)


def require_address(cloud: Cloud, instance: Object) -> None:
    """Refuses an instance that nobody could reach.

    Raises:
        Refused: https://cloud.google.com/sql/docs/postgres/configure-private-ip
    """
    if at(instance, *_ADDRESSES, "ipv4_enabled") is False and not networks.private_network(instance):
        raise Refused(
            Problem(
                "googleapi: Error 400: Invalid request: At least one of Public IP or Private IP or PSC connectivity "
                "must be enabled., invalid",
                "Put it into a network: private_network, or --network of gcloud sql instances patch.",
            )
        )
    networks.address(cloud, instance)


def require_unprotected(instance: Object) -> None:
    """Refuses to delete an instance that Google protects.

    Raises:
        Refused: in its words.
    """
    if at(instance, "settings", 0, "deletion_protection_enabled") is True:
        raise protected(
            "Error, failed to delete instance: googleapi: Error 400: The instance is protected. Please disable the "
            "deletion protection and try again. To disable deletion protection, update the instance settings with "
            "deletionProtectionEnabled set to false., invalid",
            "settings.deletion_protection_enabled",
        )


def target(connection_name: str) -> Target:
    """An instance, for `iam.allows`, with the names of https://cloud.google.com/sql/docs/postgres/iam-conditions."""
    project, _, instance = connection_name.rsplit(":", 2)
    return Target(project=project, name=f"projects/{project}/instances/{instance}", type=f"{API.name}/Instance")


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
    require_key(cloud, found)


def key_of(part: Object) -> str:
    """The key of the instance that a database or a user belongs to."""
    return f"{text(part, 'project')}:{text(part, 'instance')}"
