"""Artifacts straight at the bucket, without a role there: by sessions and signed links that the server hands out.

The server decides who may: whoever may log a run or a model there may write its files. What it hands out opens one file
and is a secret, so no message and no error holds it.
https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

# MLflow has few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
import posixpath
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.rest_utils import http_request

from mlflow_google import transfer
from mlflow_google.refusal import message_of

try:
    from mlflow.utils.credentials import get_default_host_creds
except ImportError:  # MLflow 2
    from mlflow.tracking._tracking_service.utils import _get_default_host_creds as get_default_host_creds  # pyright: ignore[reportAttributeAccessIssue]

if TYPE_CHECKING:
    import requests

API = "/api/2.0/mlflow"
FILES_AT_A_TIME = 8
# As MLflow lays artifacts out below the location of an experiment.
LOCATION = re.compile(
    r"gs://[^/]+/.*?(?:models/(?P<model>m-[0-9a-f]{32})|(?<=/)(?P<run>[0-9a-f]{32}))/artifacts(?:/(?P<folder>.*))?"
)
NOT_OF_A_RUN = (
    "{uri} is not the place of a run or of a logged model, and the server hands out sessions and links for their files"
    " alone. With a Google credential that has a role at the bucket, unset MLFLOW_GOOGLE_ARTIFACTS."
)
NO_DELETION = (
    "Files are deleted at the bucket alone, by somebody with a role there; or with their run, by the deployment's gc."
)


@dataclass(frozen=True)
class Owner:
    """The run or the logged model whose files are meant.

    Attributes:
        kind: `run_id` or `model_id`.
        name: Its id.
        folder: The folder of its artifacts below which everything is; empty for all of them.
    """

    kind: str
    name: str
    folder: str

    @classmethod
    def of(cls, uri: str) -> Owner:
        """Returns whose place it is.

        Raises:
            MlflowException: It is no run's and no logged model's.
        """
        found = LOCATION.fullmatch(uri.rstrip("/"))
        if not found:
            raise MlflowException.invalid_parameter_value(NOT_OF_A_RUN.format(uri=uri))
        kind = "model_id" if found["model"] else "run_id"
        return cls(kind, found["model"] or found["run"], found["folder"] or "")


class LinkedArtifactRepository(ArtifactRepository):
    """MLflow's repository for gs:// without a credential for the bucket.

    Args:
        artifact_uri: Where the files are.
        options: Of MLflow's later versions: `tracking_uri`, the server to ask.
    """

    def __init__(self, artifact_uri: str, **options: Any) -> None:  # noqa: ANN401
        super().__init__(artifact_uri, **options)
        self._owner = Owner.of(artifact_uri)
        self._server = options.get("tracking_uri")

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Uploads a file."""
        path = self._path(artifact_path, Path(local_file).name)
        transfer.upload(local_file, lambda: self._session(path))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Uploads a folder, some files at a time."""
        with ThreadPoolExecutor(FILES_AT_A_TIME) as pool:
            started = [
                pool.submit(self.log_artifact, str(Path(folder) / name), self._below(artifact_path, local_dir, folder))
                for folder, _, names in os.walk(local_dir)
                for name in names
            ]
            for done in started:
                done.result()

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Lists a folder, as the server sees it."""
        owner, folder = self._owner, self._path(path)
        if owner.kind == "run_id":
            route, query = f"{API}/artifacts/list", {"run_id": owner.name, "path": folder}
        else:
            route = f"{API}/logged-models/{owner.name}/artifacts/directories"
            query = {"artifact_directory_path": folder}
        answer = self._ask("GET", route, params={name: value for name, value in query.items() if value})
        root = f"{owner.folder}/" if owner.folder else ""
        return [
            FileInfo(file["path"][len(root) :], bool(file.get("is_dir")), size_of(file))
            for file in answer.json().get("files", [])
        ]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:  # noqa: ARG002  as its base
        """Deletes nothing: no server hands that out.

        Raises:
            MlflowException: Always.
        """
        raise MlflowException.invalid_parameter_value(NO_DELETION)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        path = self._path(remote_file_path)
        transfer.download(local_path, lambda start: self._linked(path, start))

    def _linked(self, path: str, start: int) -> requests.Response:
        """Asks for a file from a byte on: at the bucket by a link, or a logged model's through the server."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        if self._owner.kind == "run_id":
            link = self._ask("POST", f"{API}/artifacts/presigned-download-url", json=self._named(path)).json()
            return transfer.get(link["presigned_url"], headers)
        route = f"/ajax-api/2.0/mlflow/logged-models/{self._owner.name}/artifacts/files"
        return self._ask("GET", route, params={"artifact_file_path": path}, stream=True, extra_headers=headers)

    def _session(self, path: str) -> str:
        answer = self._ask("POST", f"{API}/artifacts/presigned-upload-url", json=self._named(path))
        return str(answer.json()["presigned_url"])

    def _named(self, path: str) -> dict[str, str]:
        return {self._owner.kind: self._owner.name, "path": path}

    @staticmethod
    def _below(artifact_path: str | None, top: str, folder: str) -> str:
        below = posixpath.join(artifact_path or "", Path(folder).relative_to(top).as_posix())
        return "" if below == "." else posixpath.normpath(below)

    def _path(self, *parts: str | None) -> str:
        return posixpath.join(self._owner.folder, *(part for part in parts if part))

    def _ask(self, method: str, route: str, **options: Any) -> requests.Response:  # noqa: ANN401
        """Asks the server.

        Raises:
            MlflowException: It refuses; with its own sentence.
        """
        server = self._server or _tracking_uri()
        answer: Any = http_request(get_default_host_creds(server), route, method, **options)
        if not answer.ok:
            raise MlflowException(f"{server} answered {answer.status_code}: {message_of(answer)}")
        return answer


def size_of(file: dict[str, Any]) -> int | None:
    """Returns how many bytes a file of a listing has; none for a folder."""
    return None if file.get("is_dir") else int(file.get("file_size", 0))


def _tracking_uri() -> str:
    from mlflow import get_tracking_uri  # noqa: PLC0415  it imports this package's entry points

    return get_tracking_uri()
