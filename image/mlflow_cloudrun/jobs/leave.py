"""`leave-teams`: moves what is in the workspaces of teams to that of everybody; for when the settings name no team.

MLflow's own move does it, all or nothing: it refuses where two things would have one name. Files stay where they are.
"""

# MLflow's move has few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse

from mlflow.store.db.workspace_migration import migrate_to_default_workspace

from mlflow_cloudrun import permissions
from mlflow_cloudrun.jobs.connection import Database
from mlflow_cloudrun.jobs.objects import Objects
from mlflow_cloudrun.jobs.report import EX_DATAERR, Report


def run(database: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job."""
    del objects
    here = permissions.here()
    if here and here.teams:
        report.logger.critical(
            "permissions.teams names %s, whose work everybody would see: remove it from the settings and apply first",
            ", ".join(sorted(here.teams)),
        )
        report.fail(EX_DATAERR)
        return

    def move() -> dict[str, int]:
        with database.turn():
            return migrate_to_default_workspace(database.engine, dry_run=options.dry_run, verbose=True)

    try:
        moved = database.patiently(move)
    except RuntimeError as error:  # which things would have one name, and that nothing was moved
        report.logger.critical("%s", error)
        report.fail(EX_DATAERR)
        return
    for kind, number in moved.items():
        report.count("to move" if options.dry_run else "moved", kind, number)
