"""Where MLflow keeps runs and models: a database in a Cloud SQL instance, and who logs in to it."""

from dataclasses import dataclass

from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember, ProjectIamMemberCondition
from cdktf_cdktf_provider_google.sql_database import SqlDatabase
from cdktf_cdktf_provider_google.sql_user import SqlUser
from constructs import Construct

from stacks import addresses, names
from stacks.constructs.ephemeral import random_password
from stacks.constructs.expressions import inner, local, number, string
from stacks.constructs.network import Network
from stacks.constructs.secrets import Secret, SecretConfig
from stacks.constructs.workload import Workload
from stacks.inputs import Account, InstanceInputs, Placement
from stacks.resources import pin

_DOMAIN = ".gserviceaccount.com"
_PASSWORD_LENGTH = 40
_NO_PASSWORD = 10_000_019  # above every rotation


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConfig:
    """Inputs of a database; strings and numbers may be Terraform tokens.

    Attributes:
        login: How service and jobs log in.
        rotation: Raised for a new password.
        secret_id: The secret that holds the connection string.
        server: The account of the service.
    """

    instance: InstanceInputs
    placement: Placement
    login: str
    rotation: float
    secret_id: str
    server: Account


class Database(Construct):
    """MLflow's database, the user that makes its tables, and the accounts, in an instance that is made elsewhere.

    Where accounts log in, the user gets a password that is kept nowhere: it has made the tables, and stays for the way
    back.

    Attributes:
        secret: The connection string, BACKEND_STORE_URI.
    """

    def __init__(self, scope: Construct, id_: str, *, config: DatabaseConfig) -> None:
        super().__init__(scope, id_)
        self._instance, self._prefix = config.instance, config.placement.prefix
        self._network = Network(self, config.placement)
        self._login = local(self, f"{self._prefix}database_login", config.login)
        accounts = f"[for account in {addresses.JOB_ACCOUNTS.of(self._prefix)} : account.email]"
        self._accounts = string(f'join(",", concat([{inner(config.server.email)}], {accounts}))')
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
        # The connection string names the instance, and whether there is a password: both are written with each.
        rotation = local(self, f"{self._prefix}database_rotation", config.rotation)
        ways = f"({config.instance.turn}) + ({self._network.turn})"
        version = number(f'{rotation} + {ways} + ({self._login} == "iam" ? {_NO_PASSWORD} : 0)')
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
                value=_connection_string(config.instance, self._user_part(password), self._network),
                value_version=version,
                after=[self._database, self._user],
            ),
        )

    def connect(self, workload: Workload) -> None:
        """Gives a workload the database: its connection string, its socket, and the right to use both."""
        workload.wait_for(self._database, self._user)
        # Why: Cloud Run opens the connection as the workload's account.
        client = self._on_the_instance(workload, "client", role="roles/cloudsql.client")
        workload.grant(client, addresses.DATABASE_CLIENT.of(self._prefix))
        by_iam = f'nonsensitive({self._login}) != "password"'
        # Why: Google looks whether the account may log in, when it shows its token.
        login = self._on_the_instance(workload, "login", role="roles/cloudsql.instanceUser")
        workload.grant(login, addresses.DATABASE_LOGIN.of(self._prefix), condition=by_iam)
        workload.grant(self._user_of(workload), addresses.DATABASE_ACCOUNT.of(self._prefix), condition=by_iam)
        workload.set({"DATABASE_LOGIN": string(self._login), "DATABASE_ACCOUNTS": self._accounts})
        workload.set_secret("BACKEND_STORE_URI", self.secret)
        workload.mount_sockets(self._instance.connection_name)
        self._network.join(workload, self._instance)

    def _on_the_instance(self, workload: Workload, id_: str, *, role: str) -> ProjectIamMember:
        return ProjectIamMember(
            self,
            f"{workload.prefix}{id_}",
            project=self._instance.project_id,
            # The role exists on projects only: https://cloud.google.com/sql/docs/postgres/iam-conditions narrows it.
            role=role,
            member=workload.account.member,
            condition=ProjectIamMemberCondition(
                title="only-the-tracking-instance",
                # Its name, and not the instance: a grant takes minutes to have effect, and is made while the
                # instance still comes about. https://cloud.google.com/iam/docs/access-change-propagation
                expression=(
                    f"resource.name == '{self._instance.resource}' && resource.service == 'sqladmin.googleapis.com'"
                ),
            ),
        )

    def _user_of(self, workload: Workload) -> SqlUser:
        email = inner(workload.account.email)
        return SqlUser(
            self,
            f"{workload.prefix}account",
            # https://cloud.google.com/sql/docs/postgres/add-manage-iam-users; MySQL takes the whole address.
            name=string(f'{self._instance.engine} == "mysql" ? {email} : trimsuffix({email}, "{_DOMAIN}")'),
            project=self._instance.project_id,
            instance=self._instance.name,
            type="CLOUD_IAM_SERVICE_ACCOUNT",
            # MySQL's triggers run as who made them, and break without.
            deletion_policy="ABANDON",
        )

    def _user_part(self, password: str) -> str:
        user = local(self, f"{self._prefix}database_user", self._instance.user)
        user_part = f'"{string(user)}:{string(f"urlencode({password})")}@"'
        return string(f'{self._login} == "iam" ? "" : {user_part}')


def _connection_string(instance: InstanceInputs, user_part: str, network: Network) -> str:
    # The socket stands in the query, for the host part of a URI has no place for a path:
    # https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#unix-domain-connections
    driver = string(f'{instance.engine} == "mysql" ? "mysql+pymysql" : "postgresql+psycopg2"')
    socket = string(f'{instance.engine} == "mysql" ? "unix_socket" : "host"')
    host = string(network.host(instance))
    query = string(network.query(instance, f"{socket}={names.CLOUDSQL_FOLDER}/{instance.connection_name}"))
    return f"{driver}://{user_part}{host}/{instance.database}?{query}"
