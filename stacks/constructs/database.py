"""Where MLflow keeps runs and models: a database in a Cloud SQL instance, and its one user."""

from dataclasses import dataclass

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember, ProjectIamMemberCondition
from cdktf_cdktf_provider_google.sql_database import SqlDatabase
from cdktf_cdktf_provider_google.sql_user import SqlUser
from constructs import Construct

from stacks import names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import string
from stacks.inputs import InstanceInputs
from stacks.names import pin

_PASSWORD_LENGTH = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConfig:
    """What the database needs; strings and numbers may be Terraform tokens."""

    instance: InstanceInputs
    rotation: float


class Database(Construct):
    """MLflow's database and its one user, in an instance that this construct does not make.

    Attributes:
        connection_string: The BACKEND_STORE_URI, ephemeral: fit for write-only arguments alone.
        ready: What a dependant waits for before it connects.
    """

    def __init__(self, scope: Construct, id_: str, *, config: DatabaseConfig) -> None:
        super().__init__(scope, id_)
        self._instance = config.instance
        database = pin(
            SqlDatabase(
                self,
                "database",
                name=config.instance.database,
                project=config.instance.project_id,
                instance=config.instance.name,
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
                name=config.instance.user,
                project=config.instance.project_id,
                instance=config.instance.name,
                password_wo=string(password),
                password_wo_version=config.rotation,
                # A PostgreSQL role that owns tables cannot be dropped; the instance takes it along.
                deletion_policy="ABANDON",
            ),
            "mlflow",
        )
        self.connection_string = _connection_string(config.instance, password)
        self.ready: list[ITerraformDependable] = [database, user]

    def grant_client(self, member: str) -> ITerraformDependable:
        """Lets a member connect to this instance, and to no other of the project."""
        return pin(
            ProjectIamMember(
                self,
                "client",
                project=self._instance.project_id,
                # Why: Cloud Run opens the connection as the service's account. The role exists on projects only:
                # https://cloud.google.com/sql/docs/postgres/iam-conditions narrows it to the instance.
                role="roles/cloudsql.client",
                member=member,
                condition=ProjectIamMemberCondition(
                    title="only-the-tracking-instance",
                    # Its name, and not the instance: a grant takes minutes to have effect, and is made while the
                    # instance still comes about. https://cloud.google.com/iam/docs/access-change-propagation
                    expression=(
                        f"resource.name == '{self._instance.resource}' && resource.service == 'sqladmin.googleapis.com'"
                    ),
                ),
            ),
            "cloudsql_client",
        )


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
