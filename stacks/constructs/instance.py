"""The Cloud SQL instance: PostgreSQL or MySQL, with backups, and no way in but Google's connectors."""

import json
from dataclasses import dataclass

from cdktf import TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_google.sql_database_instance import (
    SqlDatabaseInstance,
    SqlDatabaseInstanceSettings,
    SqlDatabaseInstanceSettingsBackupConfiguration,
    SqlDatabaseInstanceSettingsBackupConfigurationBackupRetentionSettings,
    SqlDatabaseInstanceSettingsIpConfiguration,
    SqlDatabaseInstanceSettingsMaintenanceWindow,
)
from constructs import Construct

from stacks import addresses
from stacks.constructs.expressions import add_name_value_blocks, flag, key_argument, kms_key, local, number, string
from stacks.constructs.guard import is_in_network, key_stays
from stacks.constructs.network import Network
from stacks.inputs import Placement, StringMap
from stacks.resources import pin
from stacks.settings.database import Database

_FLAGS = {
    # Who connects and what waits is worth a log line; the CIS benchmark for Google Cloud, section 6.2, asks for these.
    "postgresql": {
        "log_checkpoints": "on",
        "log_connections": "on",
        "log_disconnections": "on",
        "log_lock_waits": "on",
        "log_min_error_statement": "error",
        "log_temp_files": "0",
    },
    # https://cloud.google.com/sql/docs/mysql/flags: reading files of the server's host is never MLflow's wish.
    # MLflow's schema has triggers, which a server with a binary log lets nobody make without the second flag:
    # https://dev.mysql.com/doc/refman/8.4/en/stored-programs-logging.html
    "mysql": {"local_infile": "off", "log_bin_trust_function_creators": "on"},
}


# https://cloud.google.com/sql/docs/postgres/iam-authentication#instance_configuration_for_database_authentication
_IAM_FLAGS = {
    "postgresql": {"cloudsql.iam_authentication": "on"},
    "mysql": {"cloudsql_iam_authentication": "on"},
}
_LOG_DAYS = 7
_PRIVATE_NETWORK = "settings[0].ip_configuration[0].private_network"


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceConfig:
    """Inputs of an instance; strings may be Terraform tokens."""

    inputs: Database
    placement: Placement
    name: str


class Instance(Construct):
    """A Cloud SQL instance.

    Attributes:
        address: Its address.
        name: The instance's name.
        engine: The expression of the engine, `postgresql` or `mysql`.
        serving: The expression of the name of another instance that serves in its place; empty for none.
    """

    def __init__(self, scope: Construct, id_: str, *, config: InstanceConfig) -> None:
        super().__init__(scope, id_)
        inputs, prefix = config.inputs, config.placement.prefix
        engine = local(self, f"{prefix}database_engine", inputs.engine)
        version = local(self, f"{prefix}database_version", inputs.version)
        disk = local(self, f"{prefix}database_disk_gb", inputs.disk_gb)
        standby = local(self, f"{prefix}database_high_availability", inputs.high_availability)
        retention = local(self, f"{prefix}database_backup_retention", inputs.backup_retention)
        recovery = local(self, f"{prefix}database_point_in_time_recovery", inputs.point_in_time_recovery)
        key = kms_key(self, config.placement)
        serving = local(self, f"{prefix}serving_instance", inputs.serving_instance)
        network = Network(self, config.placement)
        instance = pin(
            SqlDatabaseInstance(
                self,
                "instance",
                name=config.name,
                project=config.placement.project_id,
                region=config.placement.region,
                database_version=(
                    string(f'{engine} == "mysql" ? "MYSQL" : "POSTGRES"')
                    + "_"
                    + string(f'replace({version}, ".", "_")')
                ),
                deletion_protection=inputs.deletion_protection,
                # It cannot change, and Terraform would replace the instance, with all data, for another one:
                # https://cloud.google.com/sql/docs/postgres/cmek
                encryption_key_name=key_argument(self, config.placement),
                lifecycle=TerraformResourceLifecycle(
                    # Without a network Terraform would replace the instance, with all data, for one that never had any:
                    # https://cloud.google.com/sql/docs/postgres/configure-private-ip
                    ignore_changes=["encryption_key_name", _PRIVATE_NETWORK],
                    precondition=[key_stays(prefix, key=key, other=serving)],
                    postcondition=[is_in_network(network.vpc, f"self.{_PRIVATE_NETWORK}")],
                ),
                settings=SqlDatabaseInstanceSettings(
                    tier=inputs.tier,
                    # PostgreSQL >= 16 defaults to ENTERPRISE_PLUS, which has no shared-core and no custom tiers:
                    # https://cloud.google.com/sql/docs/postgres/editions-intro
                    edition="ENTERPRISE",
                    availability_type=string(f'{standby} ? "REGIONAL" : "ZONAL"'),
                    deletion_protection_enabled=inputs.deletion_protection,
                    disk_type="PD_SSD",
                    # A size together with automatic growth makes a later plan shrink, that is replace, the instance:
                    # https://github.com/hashicorp/terraform-provider-google/blob/v6.50.0/website/docs/r/sql_database_instance.html.markdown
                    disk_size=number(f"{disk} > 0 ? {disk} : null"),
                    disk_autoresize=flag(f"{disk} == 0"),
                    disk_autoresize_limit=inputs.disk_limit_gb,
                    # https://cloud.google.com/sql/docs/postgres/backup-recovery/backups
                    retain_backups_on_delete=inputs.retain_backups_on_delete,
                    user_labels=config.placement.labels,
                    ip_configuration=SqlDatabaseInstanceSettingsIpConfiguration(
                        ipv4_enabled=network.is_absent,
                        private_network=network.argument,
                        # Connectors bring a client certificate of their own; a stolen password alone opens nothing. In
                        # a network nobody has one: https://cloud.google.com/sql/docs/postgres/configure-ssl-instance
                        ssl_mode=network.choose("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"),
                    ),
                    backup_configuration=SqlDatabaseInstanceSettingsBackupConfiguration(
                        enabled=inputs.backups,
                        start_time="02:00",
                        # MySQL does point-in-time recovery, and high availability, from its binary log:
                        # https://cloud.google.com/sql/docs/mysql/backup-recovery/pitr
                        point_in_time_recovery_enabled=flag(f'{engine} != "mysql" && {recovery}'),
                        binary_log_enabled=flag(f'{engine} == "mysql" && {recovery}'),
                        # Google refuses more days of logs than backups, and more than its edition keeps, which is 7:
                        # https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr
                        transaction_log_retention_days=number(f"min({_LOG_DAYS}, {retention})"),
                        backup_retention_settings=SqlDatabaseInstanceSettingsBackupConfigurationBackupRetentionSettings(
                            retained_backups=inputs.backup_retention,
                        ),
                    ),
                    maintenance_window=SqlDatabaseInstanceSettingsMaintenanceWindow(
                        day=inputs.maintenance_day,
                        hour=inputs.maintenance_hour,
                        update_track="stable",
                    ),
                ),
            ),
            addresses.INSTANCE.of(prefix),
        )
        login = local(self, f"{prefix}instance_login", inputs.login)
        add_name_value_blocks(instance, "settings", "database_flags", _flags_of(inputs, engine, login))
        self.address = addresses.INSTANCE.of(prefix)
        self.name = instance.name
        self.engine = engine
        self.serving = serving


def _flags_of(inputs: Database, engine: str, login: str) -> StringMap | str:
    if Token.is_unresolved(inputs.engine):
        always, by_iam = (f"{json.dumps(flags)}[{engine}]" for flags in (_FLAGS, _IAM_FLAGS))
        return f'merge({always}, {login} == "password" ? {{}} : {by_iam})'
    return _FLAGS[inputs.engine] | ({} if inputs.login == "password" else _IAM_FLAGS[inputs.engine])
