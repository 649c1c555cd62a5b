"""Cloud SQL: logins of service accounts, with an access token in place of a password.

https://cloud.google.com/sql/docs/postgres/iam-authentication. Left out: people and groups (CLOUD_IAM_USER,
CLOUD_IAM_GROUP), the quota of logins, and logins that Google's connectors do by themselves.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from typing import TYPE_CHECKING

from localcloud.services import iam
from localcloud.services.sql import Instance, key_of, target
from localcloud.terraform.model import Object, Problem, Refused, objects, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud

ACCOUNT = "CLOUD_IAM_SERVICE_ACCOUNT"
"""The type of a google_sql_user that is a service account."""
USER = "google_sql_user"
SCOPE = "https://www.googleapis.com/auth/sqlservice.login"
"""What a token must be for, unless it is for everything."""
_DOMAIN = ".gserviceaccount.com"
_ADDRESS = re.compile(r"[^@]+@[^@]+\.iam\.gserviceaccount\.com")
_SECRET = "sql accounts"  # noqa: S105 - the name of one
_making = threading.Lock()  # several users are made at a time
# https://cloud.google.com/sql/docs/postgres/flags#cloudsql.iam_authentication and its likes of MySQL
_FLAGS = {"cloudsql.iam_authentication", "cloudsql_iam_authentication"}
_ON = {"on", "1", "true"}


def is_account(user: Object) -> bool:
    """Whether a google_sql_user is a service account."""
    return text(user, "type") == ACCOUNT


def takes_tokens(instance: Object) -> bool:
    """Whether the flag of an instance that lets accounts log in is on."""
    return any(
        text(flag, "name") in _FLAGS and text(flag, "value").lower() in _ON
        for flag in objects(instance, "settings", 0, "database_flags")
    )


def address(cloud: Cloud, user: Object) -> str:
    """The address of a google_sql_user's account; "" for a user with a password."""
    whole = text(user, "name") if _is_mysql(cloud, key_of(user)) else f"{text(user, 'name')}{_DOMAIN}"
    return whole if is_account(user) else ""


def in_database(cloud: Cloud, user: Object) -> Object:
    """A google_sql_user with the name that the server knows it by."""
    email = address(cloud, user)
    return {**user, "name": _short(cloud, key_of(user), email)} if email else user


def require_account(cloud: Cloud, user: Object) -> None:
    """Refuses a user whose account or flag is missing.

    Raises:
        Refused: as seen in https://gist.github.com/x-yuri/72d0c94e9f5f8bcf3648cb70516fcc5f and
            https://github.com/crossplane-contrib/provider-upjet-gcp/issues/834
    """
    name, email, mysql = text(user, "name"), address(cloud, user), _is_mysql(cloud, key_of(user))
    said = f"Error, failed to insert user {name} into instance {text(user, 'instance')}: googleapi: Error 400: "
    try:
        iam.require_account(cloud, email, text(user, "project"))
        known = _ADDRESS.fullmatch(email) is not None
    except Refused:
        known = False
    if not known:
        raise Refused(
            Problem(
                f"{said}Invalid request: Provided {ACCOUNT}: {email}, does not exist., invalid",
                "PostgreSQL's users are named without .gserviceaccount.com, MySQL's by the whole address.",
                ("name",),
            )
        )
    if not takes_tokens(cloud.store.get(Instance.type, key_of(user)) or {}):
        flag = "cloudsql_iam_authentication" if mysql else "cloudsql.iam_authentication"
        raise Refused(
            Problem(
                f'{said}Invalid request: failed to create user "{name}": role "cloudsqliamserviceaccount" does not '
                "exist., invalid",
                f"Set the instance's database flag {flag} to on first.",
            )
        )


def find(cloud: Cloud, connection_name: str, name: str) -> Object | None:
    """The google_sql_user of the account that has a name in an instance; None where that is no account's."""
    key = _key(connection_name)
    accounts = (user for user in cloud.store.all(USER) if is_account(user) and key_of(user) == key)
    return next((user for user in accounts if text(in_database(cloud, user), "name") == name), None)


def lets_in(cloud: Cloud, connection_name: str, name: str, email: str) -> bool:
    """Whether somebody may log in at this moment.

    Args:
        cloud: where the instance is.
        connection_name: `PROJECT:REGION:INSTANCE`.
        name: the name in the database.
        email: whose token it is.
    """
    user = find(cloud, connection_name, name)
    return (
        user is not None
        and address(cloud, user) == email
        and takes_tokens(cloud.store.get(Instance.type, _key(connection_name)) or {})
        and iam.allows(cloud, iam.member_of(email), "cloudsql.instances.login", target(connection_name))
    )


def log_in(cloud: Cloud, connection_name: str, email: str) -> None:
    """Logs in as the container of a service would, with a token of its account.

    Raises:
        Refused: it may not: https://github.com/hashicorp/terraform-provider-google/issues/18405
    """
    name = _short(cloud, _key(connection_name), email)
    if not lets_in(cloud, connection_name, name, email):
        raise Refused(
            Problem(
                f'Cloud SQL IAM service account authentication failed for user "{name}"',
                f"{email} needs roles/cloudsql.instanceUser on the project, in effect when the container starts, a "
                f"google_sql_user of type {ACCOUNT}, and an instance whose flag for IAM logins is on.",
            )
        )


def server_password(cloud: Cloud, name: str) -> str:
    """What a server in place of Google's wants of an account that was let in; it never leaves this machine."""
    with _making:
        key = cloud.store.secret(_SECRET) or secrets.token_hex()
        cloud.store.put_secret(_SECRET, key)
    return hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest()


def _key(connection_name: str) -> str:
    project, _, instance = connection_name.rsplit(":", 2)
    return f"{project}:{instance}"


def _short(cloud: Cloud, key: str, email: str) -> str:
    # https://cloud.google.com/sql/docs/mysql/add-manage-iam-users, and the like of PostgreSQL
    return email.partition("@")[0] if _is_mysql(cloud, key) else email.removesuffix(_DOMAIN)


def _is_mysql(cloud: Cloud, key: str) -> bool:
    return text(cloud.store.get(Instance.type, key) or {}, "database_version").startswith("MYSQL_")
