"""Where MLflow keeps runs and models: a database in a Cloud SQL instance, and its one user."""

from dataclasses import dataclass

from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember, ProjectIamMemberCondition
from cdktf_cdktf_provider_google.sql_database import SqlDatabase
from cdktf_cdktf_provider_google.sql_user import SqlUser
from constructs import Construct

from stacks import addresses, names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import local, number, string
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.workload import Workload
from stacks.inputs import InstanceInputs, Placement
from stacks.resources import pin

_PASSWORD_LENGTH = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConfig:
    """Inputs of a database; strings and numbers may be Terraform tokens.

    Attributes:
        rotation: Raised for a new password.
        secret_id: The secret that holds the connection string.
    """

    instance: InstanceInputs
    placement: Placement
    rotation: float
    secret_id: str


class Database(Construct):
    """MLflow's database and its one user, in an instance that this construct does not make.

    Attributes:
        secret: The connection string, BACKEND_STORE_URI.
    """

    def __init__(self, scope: Construct, id_: str, *, config: DatabaseConfig) -> None:
        super().__init__(scope, id_)
        self._instance, self._prefix = config.instance, config.placement.prefix
        self._database = pin(
            SqlDatabase(
                self,
                "database",
                name=config.instance.database,
                project=config.instance.project_id,
                instance=config.instance.own,
                # PostgreSQL refuses to drop a database with open connections; the instance takes it along.
                deletion_policy="ABANDON",
            ),
            addresses.DATABASE.of(config.placement.prefix),
        )
        # The connection string names the instance, so that both are written when another one serves.
        rotation = local(self, f"{self._prefix}database_rotation", config.rotation)
        version = number(f"{rotation} + ({config.instance.turn})")
        password = random_password(self, f"{config.placement.prefix}database", length=_PASSWORD_LENGTH)
        self._user = pin(
            SqlUser(
                self,
                "user",
                name=config.instance.user,
                project=config.instance.project_id,
                instance=config.instance.name,
                password_wo=string(password),
                password_wo_version=version,
                # A PostgreSQL role that owns tables cannot be dropped; the instance takes it along.
                deletion_policy="ABANDON",
            ),
            addresses.DATABASE_USER.of(config.placement.prefix),
        )
        self.secret = Secret(
            self,
            "backend-store-uri",
            config=SecretConfig(
                address=addresses.BACKEND_STORE_URI,
                secret_id=config.secret_id,
                placement=config.placement,
                value=_connection_string(config.instance, password),
                value_version=version,
                after=[self._database, self._user],
            ),
        )

    def connect(self, workload: Workload) -> None:
        """Gives a workload the database: its connection string, its socket, and the right to use both."""
        workload.wait_for(self._database, self._user)
        workload.grant(
            ProjectIamMember(
                self,
                f"{workload.prefix}client",
                project=self._instance.project_id,
                # Why: Cloud Run opens the connection as the workload's account. The role exists on projects only:
                # https://cloud.google.com/sql/docs/postgres/iam-conditions narrows it to the instance.
                role="roles/cloudsql.client",
                member=workload.account.member,
                condition=ProjectIamMemberCondition(
                    title="only-the-tracking-instance",
                    # Its name, and not the instance: a grant takes minutes to have effect, and is made while the
                    # instance still comes about. https://cloud.google.com/iam/docs/access-change-propagation
                    expression=(
                        f"resource.name == '{self._instance.resource}' && resource.service == 'sqladmin.googleapis.com'"
                    ),
                ),
            ),
            addresses.DATABASE_CLIENT.of(self._prefix),
        )
        workload.set_secret("BACKEND_STORE_URI", self.secret)
        workload.mount_sockets(self._instance.connection_name)


def _connection_string(instance: InstanceInputs, password: str) -> str:
    # The socket stands in the query, for the host part of a URI has no place for a path:
    # https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#unix-domain-connections
    driver = string(f'{instance.engine} == "mysql" ? "mysql+pymysql" : "postgresql+psycopg2"')
    socket = string(f'{instance.engine} == "mysql" ? "unix_socket" : "host"')
    encoded_password = string(f"urlencode({password})")
    return (
        f"{driver}://{instance.user}:{encoded_password}@/{instance.database}"
        f"?{socket}={names.CLOUDSQL_FOLDER}/{instance.connection_name}"
    )
