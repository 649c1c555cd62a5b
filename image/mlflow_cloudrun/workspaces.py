"""The teams of the variable PERMISSIONS as MLflow's workspaces; without teams there are none.

MLflow asks a provider which workspaces there are, and lets one come from elsewhere than its table. This one reads the
settings: nobody makes, changes or removes a workspace, and there is nothing to reconcile. It is asked at each request,
and tells nobody of a team that is not theirs. Within a workspace MLflow's permissions decide (grants.py).

What is in the workspace of a team that the settings no longer name stays where it is, and nobody reaches it.
https://mlflow.org/docs/latest/self-hosting/workspaces/
"""

# MLflow's workspaces have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from mlflow.entities import Workspace
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.workspace.abstract_store import AbstractStore
from mlflow.store.workspace.sqlalchemy_store import _WORKSPACE_ROOT_MODELS
from mlflow.tracking._workspace import registry
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME, WORKSPACE_HEADER_NAME
from sqlalchemy import Engine, func, literal, select, union_all

from mlflow_cloudrun import permissions
from mlflow_cloudrun.bodies import Stream
from mlflow_cloudrun.identity import asked
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

HEADER = WORKSPACE_HEADER_NAME.lower().encode()
COMMAND = "leave-teams"
ABSENT = "There is no workspace {name!r} for you: the teams are in permissions.teams, and each is for its members."
TWICE = f"A request names its workspace once, in the header {WORKSPACE_HEADER_NAME}."
logger = logging.getLogger(__name__)


class LeftOverError(Exception):
    """Teams have left things in the database, and the settings name no team."""


class Teams(AbstractStore):
    """The workspaces of who asks; all of them where nobody does, as at a start."""

    def list_workspaces(self) -> Iterable[Workspace]:
        """Returns them, that of everybody first."""
        here = permissions.here()
        teams = sorted(here.teams) if here else []
        return [Workspace(DEFAULT_WORKSPACE_NAME), *(Workspace(name) for name in teams if is_open(name))]

    def get_workspace(self, workspace_name: str) -> Workspace:
        """Returns one.

        Raises:
            MlflowException: There is none of this name for who asks.
        """
        if not is_open(workspace_name):
            raise MlflowException(ABSENT.format(name=workspace_name), RESOURCE_DOES_NOT_EXIST)
        if (request := asked.get(None)) and workspace_name != DEFAULT_WORKSPACE_NAME:
            request.workspace = workspace_name
        return Workspace(workspace_name)

    def get_default_workspace(self) -> Workspace:
        """Returns that of everybody."""
        return Workspace(DEFAULT_WORKSPACE_NAME)

    def resolve_artifact_root(self, default_artifact_root: str | None, workspace_name: str) -> tuple[str | None, bool]:
        """Returns where files are, and whether below workspaces/NAME: those of everybody are where they always were."""
        return default_artifact_root, workspace_name != DEFAULT_WORKSPACE_NAME


def is_open(name: str) -> bool:
    """Returns whether who asks may name a workspace."""
    here, request = permissions.here(), asked.get(None)
    if name == DEFAULT_WORKSPACE_NAME:
        return True
    return bool(here) and (here.may_enter(request.by, name) if request else name in here.teams)


class OneWorkspace:
    """ASGI middleware: refuses a request that names its workspace twice, or in a spelling that only WSGI knows."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what names it once, or not at all."""
        named = [name for name, _ in scope.get("headers", []) if name.lower().replace(b"_", b"-") == HEADER]
        if len(named) > 1 or any(b"_" in name for name in named):
            await Stream(receive).drain()
            await refuse(send, 400, "BAD_REQUEST", TWICE)
        else:
            await self.app(scope, receive, send)


def teams(workspace_uri: str) -> Teams:
    """Returns the provider; MLflow's own would be a table at this address."""
    del workspace_uri
    return Teams()


def install() -> None:
    """Switches MLflow's workspaces on, with the teams for them."""
    MLFLOW_ENABLE_WORKSPACES.set(True)
    known = registry._get_workspace_store_registry()  # noqa: SLF001
    for scheme in DATABASE_ENGINES:
        known.register(scheme, teams)


def held(engine: Engine) -> Counter[str]:
    """Returns how many things each workspace but that of everybody holds."""
    models: list[Any] = _WORKSPACE_ROOT_MODELS
    parts = [
        select(model.workspace, func.count(literal(1)))
        .where(model.workspace != DEFAULT_WORKSPACE_NAME)
        .group_by(model.workspace)
        for model in models
    ]
    found: Counter[str] = Counter()
    with engine.connect() as connection:
        for name, number in connection.execute(union_all(*parts)):
            found[name] += number
    return found


def prepare(engine: Engine) -> None:
    """Switches workspaces on if the settings have teams, and says what is in none of theirs.

    Raises:
        LeftOverError: There are no teams, and something would be nobody's, or everybody's.
    """
    here = permissions.here()
    named = here.teams if here else {}
    left = {name: number for name, number in sorted(held(engine).items()) if name not in named}
    told = ", ".join(f"{name} ({number})" for name, number in left.items())
    if named:
        install()
        if left:
            logger.warning(
                "Nobody reaches what is in the workspaces of teams that permissions.teams does not name: %s", told
            )
    elif left:
        raise LeftOverError(
            f"The database holds things of teams, and permissions.teams names none: {told}. Name the teams again, or "
            f"move everything to the workspace of everybody: run this image as a job with: {COMMAND}"
        )
