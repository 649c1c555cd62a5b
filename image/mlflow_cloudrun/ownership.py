"""Gives the tables to all accounts that are to log in, by the user with the password, who has made them.

A new account may do nothing in a database. On PostgreSQL only the owner of a table may change it, and a table has one:
a role that nobody logs in as, which user and accounts act as from their first statement on. So whoever migrates, all
tables are everybody's, on the way there and back. MySQL has no owners; there the accounts get rights on the database.
"""

import logging
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, text

logger = logging.getLogger(__name__)

DOMAIN = ".gserviceaccount.com"
RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, TRIGGER, LOCK TABLES,"
    " CREATE TEMPORARY TABLES"
)
# Tables, sequences and the like of the user alone: what a later statement of it makes is the role's already.
LEFT = text(
    "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = session_user)"
    " AND relnamespace = current_schema()::regnamespace"
)
MEMBERS = text(
    "SELECT m.rolname FROM pg_auth_members JOIN pg_roles AS m ON m.oid = member JOIN pg_roles AS r ON r.oid = roleid"
    " WHERE r.rolname = :name"
)


def name_of(email: str, dialect: str) -> str:
    """Returns what an account's user is called in the database.

    Sources: https://cloud.google.com/sql/docs/mysql/add-manage-iam-users, and the like of PostgreSQL.
    """
    return email.partition("@")[0] if dialect == "mysql" else email.removesuffix(DOMAIN)


def owner_of(database: str) -> str:
    """Returns the role that owns the tables of a database; an instance has the same roles in all of its databases."""
    return f"{database}_tables"


def share(engine: Engine, accounts: Iterable[str]) -> None:
    """Shares the tables with accounts; what is shared already stays so.

    Args:
        engine: Logs in as the user with the password.
        accounts: Their addresses.
    """
    users = [name_of(email, engine.dialect.name) for email in accounts]
    share_on = on_postgresql if engine.dialect.name == "postgresql" else on_mysql
    with engine.begin() as connection:
        if given := share_on(connection, users):
            logger.info("The tables are shared with %s", ", ".join(given))


def on_postgresql(connection: Connection, users: list[str]) -> list[str]:
    """Makes the role, gives it everything, and makes the users members of it; returns the new ones."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    name = owner_of(str(connection.scalar(text("SELECT current_database()"))))
    owner, schema = quote(name), quote(str(connection.scalar(text("SELECT current_schema()"))))
    connection.execute(text("SET LOCAL ROLE NONE"))  # of an earlier time, the user begins as the role
    if not connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :name"), {"name": name}):
        connection.execute(text(f"CREATE ROLE {owner} NOLOGIN"))
        connection.execute(text(f"GRANT {owner} TO SESSION_USER"))
        connection.execute(text(f"ALTER ROLE SESSION_USER SET role = {owner}"))
    connection.execute(text(f"GRANT CREATE, USAGE ON SCHEMA {schema} TO {owner}"))
    if connection.scalar(LEFT):
        connection.execute(text(f"REASSIGN OWNED BY SESSION_USER TO {owner}"))
    members = connection.scalars(MEMBERS, {"name": name}).all()
    missing = [user for user in users if user not in members]
    for user in missing:
        connection.execute(text(f"GRANT {owner} TO {quote(user)}"))
    return missing


def on_mysql(connection: Connection, users: list[str]) -> list[str]:
    """Gives the users what MLflow and its migrations need; returns them."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(str(connection.scalar(text("SELECT DATABASE()"))))
    for user in users:
        connection.execute(text(f"GRANT {RIGHTS} ON {schema}.* TO {quote(user)}@`%`"))
    return users
