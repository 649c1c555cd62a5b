"""`archive-traces`: moves the spans of old traces from the database to the bucket, where the server reads them.

MLflow's own archival does the work, one trace at a time; what it would log as a traceback is counted and told in a
sentence. An experiment may ask for another age by its tag `mlflow.trace.archivalRetention`. Each workspace has its
turn, also that of a team which the settings no longer name.
"""

# MLflow and SQLAlchemy's tables have few types; what deletes and archives is MLflow's own.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import argparse
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.tracing.otel.otel_archival import TRACE_ARCHIVAL_FILENAME
from mlflow.utils.workspace_context import ServerWorkspaceContext
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME, WORKSPACES_DIR_NAME
from requests.exceptions import RequestException
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mlflow_cloudrun import workspaces
from mlflow_cloudrun.jobs.connection import Database
from mlflow_cloudrun.jobs.objects import CREATE, PATIENCE, TIMEOUT_S, Objects
from mlflow_cloudrun.jobs.report import LeftError, Report

TRACES_AT_A_TIME = 10_000  # whose ids are in memory
SECONDS_OF_A_MINUTE = 60


class Archive(GCSArtifactRepository):
    """The folder of one trace in the bucket; refusals are said in our words."""

    objects: Objects

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, self.objects.client, None, tracking_uri, registry_uri)
        name, self.prefix = self.parse_gcs_uri(artifact_uri)
        self.bucket: Any = self.objects.client.bucket(name)

    def upload_archived_trace_data_bytes(self, data: bytes) -> None:
        """Writes the trace's spans.

        Raises:
            LeftError: The bucket does not take them.
        """
        self.objects.refuse_again(self.bucket, CREATE)
        blob = self.bucket.blob(f"{self.prefix}/{TRACE_ARCHIVAL_FILENAME}")
        try:
            blob.upload_from_string(data, "application/octet-stream", timeout=TIMEOUT_S, retry=PATIENCE)
        except (GoogleAPICallError, GoogleAuthError, RetryError, RequestException) as error:
            self.objects.translate(error, self.bucket, CREATE)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Takes a file back that no row names; if there is none, or it may not, `gc` does later."""
        try:
            self.objects.delete(self.bucket, f"{self.prefix}/{artifact_path}")
        except LeftError as error:
            self.objects.log.info("%s; gc deletes that file", error)


class Archiver(WorkspaceAwareSqlAlchemyStore):
    """MLflow's store, which archives each trace in a turn of its own.

    Args:
        uri: The database's.
        root: Where the archive is.
        database: The one connection.
        report: Where it says what it does.
    """

    def __init__(self, uri: str, root: str, database: Database, report: Report) -> None:
        utils.create_sqlalchemy_engine = database.the_engine
        self.database, self.report = database, report
        self.failed: set[str] = set()
        super().__init__(uri, root)

    def _archive_trace_candidate(self, *, trace_id: str, resolved_trace_archival_location: str) -> bool:
        def archive() -> bool:
            with self.database.turn():
                return super(Archiver, self)._archive_trace_candidate(
                    trace_id=trace_id, resolved_trace_archival_location=resolved_trace_archival_location
                )

        if trace_id in self.failed:
            return False
        try:
            archived = self.database.patiently(archive)
        except (MlflowException, SQLAlchemyError, LeftError) as error:
            self.failed.add(trace_id)
            self.report.left("traces", trace_id, error.__cause__ if isinstance(error.__cause__, LeftError) else error)
            return False
        self.report.count("archived", "traces", int(archived))
        return archived

    def _mark_trace_archival_failure(self, *, trace_id: str, failure_reason: str, **options: Any) -> None:  # noqa: ANN401
        super()._mark_trace_archival_failure(trace_id=trace_id, failure_reason=failure_reason, **options)
        self.report.kept("traces", trace_id, f"its spans cannot be archived ({failure_reason}); it is not tried again")


def run(database: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job."""
    Archive.objects = objects
    repositories: dict[str, Any] = get_registered_artifact_repositories()
    repositories["gs"] = Archive
    root = objects.served.served[0]
    workspaces.install()  # also where there are no teams: then all is in the workspace of everybody
    store = Archiver(str(options.uri), root, database, report)
    retention = f"{max(1, options.older_than // SECONDS_OF_A_MINUTE)}m"
    for name in database.outside_turns(names):
        with ServerWorkspaceContext(name):
            place = root if name == DEFAULT_WORKSPACE_NAME else f"{root}/{WORKSPACES_DIR_NAME}/{name}"
            while store.archive_traces(
                resolved_trace_archival_location=place,
                broader_retention=retention,
                max_traces_per_pass=TRACES_AT_A_TIME,
            ):
                pass


def names(session: Session) -> list[str]:
    """Returns the workspaces that have experiments."""
    return sorted(session.scalars(select(SqlExperiment.workspace).distinct()))
