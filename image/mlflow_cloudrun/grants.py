"""MLflow's users, roles and grants in the database, which follow from the variable PERMISSIONS alone.

Every start makes them so: who has left a list loses what it gave. What people make is theirs by grants of MLflow's own,
which stay; in a team's workspace they go with the member. Nobody has a password.
"""

# MLflow's permissions have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportAttributeAccessIssue=false

from typing import Any, NamedTuple

from mlflow.server.auth.db.models import SqlRole, SqlRolePermission, SqlUser, SqlUserRoleAssignment
from mlflow.server.auth.permissions import MANAGE, READ, RESOURCE_TYPE_WORKSPACE, TYPE
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mlflow_cloudrun.permissions import Permissions

READERS, MEMBERS = "gate-readers", "gate-members"
ROLES = (READERS, MEMBERS)
ALL = "*"
NO_HASH = "!"  # werkzeug's check_password_hash: no password matches what is no hash


class Admin(NamedTuple):
    """Somebody may do everything."""

    email: str

    def give(self, session: Session) -> None:
        """Makes it so."""
        user_of(session, self.email).is_admin = True

    def take(self, session: Session) -> None:
        """Takes it back."""
        user_of(session, self.email).is_admin = False


class Member(NamedTuple):
    """Somebody has a role."""

    email: str
    workspace: str
    role: str

    def give(self, session: Session) -> None:
        """Makes it so."""
        user, role = user_of(session, self.email), role_of(session, self.workspace, self.role)
        session.add(SqlUserRoleAssignment(user_id=user.id, role_id=role.id))

    def take(self, session: Session) -> None:
        """Takes it back."""
        link = SqlUserRoleAssignment
        user, role = user_of(session, self.email), role_of(session, self.workspace, self.role)
        session.execute(delete(link).where(link.user_id == user.id, link.role_id == role.id))


class Grant(NamedTuple):
    """A role may do something with everything of a kind."""

    workspace: str
    role: str
    kind: str
    permission: str

    def give(self, session: Session) -> None:
        """Makes it so."""
        role = role_of(session, self.workspace, self.role)
        session.add(
            SqlRolePermission(
                role_id=role.id, resource_type=self.kind, resource_pattern=ALL, permission=self.permission
            )
        )

    def take(self, session: Session) -> None:
        """Takes it back."""
        grant, role = SqlRolePermission, role_of(session, self.workspace, self.role)
        session.execute(delete(grant).where(grant.role_id == role.id, grant.resource_type == self.kind))


def wanted(permissions: Permissions) -> set[Admin | Member | Grant]:
    """Returns what must be in the database."""
    kinds = set(TYPE) - {RESOURCE_TYPE_WORKSPACE}
    everywhere = (DEFAULT_WORKSPACE_NAME, *permissions.teams)
    return {
        *map(Admin, permissions.admins),
        *(Member(email, place, READERS) for email in permissions.readers for place in everywhere),
        *(Grant(place, READERS, kind, READ.name) for kind in kinds for place in everywhere),
        *(Member(email, team, MEMBERS) for team, people in permissions.teams.items() for email in people),
        *(Grant(team, MEMBERS, RESOURCE_TYPE_WORKSPACE, MANAGE.name) for team in permissions.teams),
    }


def found(session: Session, permissions: Permissions) -> set[Admin | Member | Grant]:
    """Returns what of this is there, or should no longer be."""
    admins = select(SqlUser.username).where(SqlUser.is_admin)
    members = select(SqlUser.username, SqlRole.workspace, SqlRole.name).join(
        SqlUserRoleAssignment, SqlUserRoleAssignment.user_id == SqlUser.id
    )
    members = members.join(SqlRole, SqlRole.id == SqlUserRoleAssignment.role_id)
    # What somebody made in a team's workspace, or was once given there, counts only for its members.
    members = members.where(SqlRole.name.in_(ROLES) | (SqlRole.workspace != DEFAULT_WORKSPACE_NAME))
    grant = SqlRolePermission
    grants = select(SqlRole.workspace, SqlRole.name, grant.resource_type, grant.permission)
    grants = grants.join(grant, grant.role_id == SqlRole.id).where(SqlRole.name.in_(ROLES))
    return {
        *(Admin(*row) for row in session.execute(admins)),
        *(
            Member(email, place, role)
            for email, place, role in session.execute(members)
            if role in ROLES or email not in permissions.teams.get(place, ())
        ),
        *(Grant(*row) for row in session.execute(grants)),
    }


def user_of(session: Session, email: str) -> Any:  # noqa: ANN401
    """Returns the user of an address, who is there (`known`)."""
    return session.scalars(select(SqlUser).where(SqlUser.username == email)).one()


def role_of(session: Session, workspace: str, name: str) -> Any:  # noqa: ANN401
    """Returns a role, made if it is not there."""
    role = session.scalars(select(SqlRole).where(SqlRole.workspace == workspace, SqlRole.name == name)).first()
    if role is None:
        role = SqlRole(name=name, workspace=workspace, description="of the variable PERMISSIONS")
        session.add(role)
        session.flush()
    return role


def right(store: Any, permissions: Permissions) -> bool:  # noqa: ANN401
    """Returns whether the database has what it must have, and no more: then a start waits for no lock."""
    with store.ManagedSessionMaker() as session:
        return found(session, permissions) == wanted(permissions)


def reconcile(store: Any, permissions: Permissions) -> None:  # noqa: ANN401
    """Makes users and roles what the variable says; call it under the lock of migrations."""
    for email in sorted(permissions.admins.union(permissions.readers, *permissions.teams.values())):
        know(store, email)
    with store.ManagedSessionMaker(read_only=False) as session:
        have, want = found(session, permissions), wanted(permissions)
        for fact in have - want:
            fact.take(session)
        session.flush()
        for fact in want - have:
            fact.give(session)


def know(store: Any, email: str) -> None:  # noqa: ANN401
    """Makes MLflow's user of an address; of two instances at the same moment one does."""
    if store.has_user(email):
        return
    try:
        with store.ManagedSessionMaker(read_only=False) as session:
            session.add(SqlUser(username=email, password_hash=NO_HASH, is_admin=False))
    except Exception as error:
        if not isinstance(error.__cause__ or error, IntegrityError):
            raise
