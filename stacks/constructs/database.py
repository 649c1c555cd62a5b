"""Where MLflow keeps runs and models: Cloud SQL, its `mlflow` database and the one user."""

import json
from dataclasses import dataclass

from cdktf import ITerraformDependable, Token
from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember, ProjectIamMemberCondition
from cdktf_cdktf_provider_google.sql_database import SqlDatabase
from cdktf_cdktf_provider_google.sql_database_instance import (
    SqlDatabaseInstance,
    SqlDatabaseInstanceSettings,
    SqlDatabaseInstanceSettingsBackupConfiguration,
    SqlDatabaseInstanceSettingsBackupConfigurationBackupRetentionSettings,
    SqlDatabaseInstanceSettingsIpConfiguration,
    SqlDatabaseInstanceSettingsMaintenanceWindow,
)
from cdktf_cdktf_provider_google.sql_user import SqlUser
from constructs import Construct

from stacks import names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import add_name_value_blocks, flag, local, number, string
from stacks.inputs import DatabaseInputs, StringMap
from stacks.names import pin

_PASSWORD_LENGTH = 40

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
    "mysql": {"local_infile": "off"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConfig:
    """What the database needs; strings may be Terraform tokens."""

    inputs: DatabaseInputs
    instance_name: str
    project_id: str
    region: str
    labels: StringMap


class Database(Construct):
    """Cloud SQL instance, the `mlflow` database and its one user.

    Attributes:
        connection_name: `PROJECT:REGION:INSTANCE`, as the volume of Cloud Run wants it.
        connection_string: The BACKEND_STORE_URI, ephemeral: fit for write-only arguments alone.
        ready: What a dependant waits for before it connects.
    """

    def __init__(self, scope: Construct, id_: str, *, config: DatabaseConfig) -> None:
        super().__init__(scope, id_)
        engine = local(self, "database_engine", config.inputs.engine)

        self._project_id = config.project_id
        self._instance = self._make_instance(config, engine)
        database = pin(
            SqlDatabase(
                self,
                "database",
                name=names.DATABASE,
                instance=self._instance.name,
                # PostgreSQL refuses to drop a database with open connections; the instance takes it along.
                deletion_policy="ABANDON",
            ),
            "mlflow",
        )
        password = random_password(self, "database", length=_PASSWORD_LENGTH)
        user = pin(
            SqlUser(
                self,
                "user",
                name=names.DATABASE_USER,
                instance=self._instance.name,
                password_wo=string(password),
                password_wo_version=config.inputs.rotation,
                # A PostgreSQL role that owns tables cannot be dropped; the instance takes it along.
                deletion_policy="ABANDON",
            ),
            "mlflow",
        )
        self.connection_name = self._instance.connection_name
        self.connection_string = _connection_string(engine, password, self.connection_name)
        self.ready: list[ITerraformDependable] = [database, user]

    def grant_client(self, member: str) -> ITerraformDependable:
        """Lets a member connect to this instance, and to no other of the project."""
        return pin(
            ProjectIamMember(
                self,
                "client",
                project=self._project_id,
                # Why: Cloud Run opens the connection as the service's account. The role exists on projects only:
                # https://cloud.google.com/sql/docs/postgres/iam-conditions narrows it to the instance.
                role="roles/cloudsql.client",
                member=member,
                condition=ProjectIamMemberCondition(
                    title="only-the-tracking-instance",
                    expression=(
                        f"resource.name == 'projects/{self._project_id}/instances/{self._instance.name}'"
                        " && resource.service == 'sqladmin.googleapis.com'"
                    ),
                ),
            ),
            "cloudsql_client",
        )

    def _make_instance(self, config: DatabaseConfig, engine: str) -> SqlDatabaseInstance:
        inputs = config.inputs
        version = local(self, "database_version", inputs.version)
        disk = local(self, "database_disk_gb", inputs.disk_gb)
        standby = local(self, "database_high_availability", inputs.high_availability)
        recovery = local(self, "database_point_in_time_recovery", inputs.point_in_time_recovery)
        instance = pin(
            SqlDatabaseInstance(
                self,
                "instance",
                name=config.instance_name,
                region=config.region,
                database_version=(
                    string(f'{engine} == "mysql" ? "MYSQL" : "POSTGRES"')
                    + "_"
                    + string(f'replace({version}, ".", "_")')
                ),
                deletion_protection=inputs.deletion_protection,
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
                    user_labels=config.labels,
                    ip_configuration=SqlDatabaseInstanceSettingsIpConfiguration(
                        ipv4_enabled=True,
                        # Connectors bring a client certificate of their own; a stolen password alone opens nothing:
                        # https://cloud.google.com/sql/docs/postgres/configure-ssl-instance
                        ssl_mode="TRUSTED_CLIENT_CERTIFICATE_REQUIRED",
                    ),
                    backup_configuration=SqlDatabaseInstanceSettingsBackupConfiguration(
                        enabled=inputs.backups,
                        start_time="02:00",
                        # MySQL does point-in-time recovery, and high availability, from its binary log:
                        # https://cloud.google.com/sql/docs/mysql/backup-recovery/pitr
                        point_in_time_recovery_enabled=flag(f'{engine} != "mysql" && {recovery}'),
                        binary_log_enabled=flag(f'{engine} == "mysql" && {recovery}'),
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
            "tracking",
        )
        add_name_value_blocks(instance, "settings", "database_flags", _flags_of(inputs.engine, engine))
        return instance


def _flags_of(value: str, expression: str) -> StringMap | str:
    return f"{json.dumps(_FLAGS)}[{expression}]" if Token.is_unresolved(value) else _FLAGS[value]


def _connection_string(engine: str, password: str, connection_name: str) -> str:
    # The socket stands in the query, for the host part of a URI has no place for a path:
    # https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#unix-domain-connections
    driver = string(f'{engine} == "mysql" ? "mysql+pymysql" : "postgresql+psycopg2"')
    socket = string(f'{engine} == "mysql" ? "unix_socket" : "host"')
    user, database = names.DATABASE_USER, names.DATABASE
    encoded_password = string(f"urlencode({password})")
    return f"{driver}://{user}:{encoded_password}@/{database}?{socket}={names.CLOUDSQL_FOLDER}/{connection_name}"
