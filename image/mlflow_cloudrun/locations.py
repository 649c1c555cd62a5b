"""Where artifacts may be: the server opens, and writes down, only locations that this deployment serves.

The server reads with an account of its own. A location that a user chooses would make it read the container's files, a
bucket of somebody else's, or a host of that user's choice.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS  # pyright: ignore[reportPrivateUsage]
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlTraceTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION, MLFLOW_TRACE_ARCHIVE_LOCATION
from sqlalchemy import event

from mlflow_cloudrun import folders

BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(/[^?#\\]*)?")
OF_MLFLOW = re.compile(r"(runs|models):/[^/].*", re.DOTALL)  # MLflow resolves them to a location, which is checked then
# What MLflow writes over the source of a version that is deleted (SqlAlchemyStore.delete_model_version).
DELETED = "REDACTED-SOURCE-PATH"
TRACE_TAGS = {MLFLOW_ARTIFACT_LOCATION, MLFLOW_TRACE_ARCHIVE_LOCATION}
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def roots(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the locations that this deployment serves: its own bucket first, then those of the settings."""
    named = [environ["DEFAULT_ARTIFACT_ROOT"], *environ.get("ARTIFACT_ROOTS", "").split(",")]
    return tuple(dict.fromkeys(root.strip().rstrip("/") for root in named if root.strip()))


class Locations:
    """The locations that this deployment serves."""

    def __init__(self, served: tuple[str, ...]) -> None:
        self.served = served

    def serves(self, uri: str) -> bool:
        """Returns whether a location is below one of them, in the one spelling that means the same to everybody."""
        if not BUCKET.fullmatch(uri) or UNPRINTABLE.search(uri) or not any(below(uri, root) for root in self.served):
            return False
        while (decoded := unquote(uri)) != uri:
            uri = decoded
        return not {".", ".."} & set(re.split(r"[/\\]", uri))

    def refuse(self, what: str, code: int) -> MlflowException:
        """Returns the error for a location that is not served."""
        named = ", ".join(f"{root}/..." for root in self.served)
        return MlflowException(
            f"{what} is not where this deployment keeps artifacts: {named}. Whoever runs it can name further buckets "
            "in service.artifact_roots.",
            error_code=code,
        )

    def open_only_served(self) -> None:
        """Makes MLflow open no other location, whatever is in the database."""
        repositories: dict[str, Any] = get_registered_artifact_repositories()
        for scheme, repository in list(repositories.items()):
            repositories[scheme] = self.guarded(repository)

    def guarded(self, repository: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a maker of repositories that refuses what is not served."""

        def make(artifact_uri: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  MLflow's
            if not (self.serves(artifact_uri) or OF_MLFLOW.fullmatch(artifact_uri)):
                raise self.refuse("The location of these artifacts", PERMISSION_DENIED)
            return repository(artifact_uri, *arguments, **options)

        return make

    def write_only_served(self) -> None:
        """Makes MLflow store no other location for an experiment, the version of a model or a trace."""

        def check_experiment(experiment: Any, value: str | None, *_: object) -> None:  # noqa: ANN401
            if value and not self.serves(value):
                raise self.refuse("artifact_location", INVALID_PARAMETER_VALUE)
            chosen = experiment.experiment_id is None  # MLflow makes one of its number
            if value and chosen and not folders.may_name(value, new=True):
                raise refuse_others("artifact_location")

        def check_source(_: object, value: str | None, *__: object) -> None:
            harmless = not value or value in {*_PROMPT_SOURCE_PLACEHOLDERS, DELETED} or OF_MLFLOW.fullmatch(value)
            if not (harmless or self.serves(str(value))):
                raise self.refuse("source", INVALID_PARAMETER_VALUE)
            if not (harmless or folders.may_name(str(value))):
                raise refuse_others("source")

        event.listen(SqlExperiment.artifact_location, "set", check_experiment)
        for column in (SqlModelVersion.source, SqlModelVersion.storage_location):
            event.listen(column, "set", check_source)
        self.write_only_served_tags()

    def write_only_served_tags(self) -> None:
        """Makes MLflow store no other location as a trace's tag, by whatever route it comes."""
        store: Any = SqlAlchemyStore
        own_tag = store._get_trace_artifact_location_tag  # noqa: SLF001

        def marked(self: object, experiment: object, trace_id: str) -> Any:  # noqa: ANN401
            tag = own_tag(self, experiment, trace_id)
            tag.of_mlflow = tag.value  # below the experiment's location, which an older server may have taken
            return tag

        def check_tag(_: object, __: object, tag: Any) -> None:  # noqa: ANN401
            of_mlflow = getattr(tag, "of_mlflow", None) == tag.value
            if tag.key in TRACE_TAGS and not of_mlflow and not self.serves(str(tag.value)):
                raise self.refuse(f"The tag {tag.key}", INVALID_PARAMETER_VALUE)
            if tag.key in TRACE_TAGS and not of_mlflow and not folders.may_name(str(tag.value)):
                raise refuse_others(f"The tag {tag.key}")

        store._get_trace_artifact_location_tag = marked  # noqa: SLF001
        for moment in ("before_insert", "before_update"):
            event.listen(SqlTraceTag, moment, check_tag)


def refuse_others(what: str) -> MlflowException:
    """Returns the error for a location of files that are others'."""
    return MlflowException(f"{what} must name files of yours, in an experiment that you may read.", PERMISSION_DENIED)


def below(uri: str, root: str) -> bool:
    """Returns whether a location is a root or below it."""
    return uri == root or uri.startswith(f"{root}/")


def limit(environ: Mapping[str, str]) -> None:
    """Holds MLflow, in this process, to what the environment names."""
    served = Locations(roots(environ))
    served.open_only_served()
    served.write_only_served()
