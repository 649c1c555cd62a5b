"""Where accounts log in to a database, nobody logs in with a password."""

from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy, template_of

FLAGS = {"cloudsql.iam_authentication", "cloudsql_iam_authentication"}

# document -> whether the first resource seen in it is for accounts, as in one_region.py
_first_login: dict[str, bool] = {}


@policy(
    check_id="CKV_MLFLOW_30",
    name="The instance takes tokens where service and jobs log in by IAM, and those have no password",
    resources=[
        "google_cloud_run_v2_job",
        "google_cloud_run_v2_service",
        "google_sql_database_instance",
        "google_sql_user",
    ],
    guide="https://cloud.google.com/sql/docs/postgres/iam-authentication",
)
def one_login(resource: Block) -> Iterator[str]:
    """A password that still opens a database makes nothing of the tokens, and of the roles that can be withdrawn.

    `both` is the step from one to the other, in which the instance takes tokens already.
    """
    if resource.kind == "google_sql_user":
        if str(resource.value("type")).startswith("CLOUD_IAM_"):
            given = [
                name for name in ("password", "password_wo", "password_wo_version") if resource.value(name) is not None
            ]
            yield from (f"leave {name} out: an account gives a token" for name in given)
        return
    for by_iam in _logins(resource):
        if by_iam != _first_login.setdefault(resource.document, by_iam):
            this, rest = ("IAM", "a password") if by_iam else ("a password", "IAM")
            yield f"this is for logins by {this}, and the rest of the document for logins by {rest}: choose one"


def _logins(resource: Block) -> Iterator[bool]:
    """Whether it is for logins by IAM, where that is known."""
    if resource.kind == "google_sql_database_instance":
        if not resource.blocks("settings.dynamic") and resource.blocks("settings"):
            flags = resource.blocks("settings.database_flags")
            yield any(flag.value("name") in FLAGS and flag.value("value") == "on" for flag in flags)
        return
    for container in resource.blocks(f"{template_of(resource)}.containers"):
        for variable in container.blocks("env"):
            login = variable.value("value") if variable.written("name") == "DATABASE_LOGIN" else UNKNOWN
            if login is not UNKNOWN:
                yield login != "password"
