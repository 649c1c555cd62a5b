"""MLflow's artifact repository for gs://, as the server uses it: it reads, streams, and knows its bounds."""

# MLflow and google-cloud-storage have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import posixpath
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from flask import Response, abort, current_app, request
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.server import handlers
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository

from mlflow_cloudrun.artifacts import slot, undisguised

if TYPE_CHECKING:
    from google.cloud.storage import Client  # pyright: ignore[reportMissingTypeStubs]

# A traces.json, which MLflow parses; traces that are logged today lie in the database.
LARGEST_PARSED = 16 * 1024 * 1024
LONGEST_LISTING = 20_000
OK, PARTIAL_CONTENT = 200, 206


class BucketRepository(GCSArtifactRepository):
    """Sends files through the request's slot (artifacts.py), and never by way of /tmp."""

    client: "Client"
    shared: "Client | None" = None  # one for all, with its connections and its token

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, BucketRepository.shared, None, tracking_uri, registry_uri)
        BucketRepository.shared = self.client

    def get_local_path(self, artifact_path: str) -> str | None:
        """Ends MLflow's handler with an answer whose content comes from the bucket.

        Raises:
            werkzeug.exceptions.HTTPException: Always: the answer, or why there is none.
        """
        file = slot.get()
        if file is None:  # not in a request
            return None
        blob = self._bucket().get_blob(self._name(artifact_path))
        if blob is None:
            self._absent(artifact_path)
        answer = headers_for(blob, posixpath.basename(undisguised(artifact_path)))
        if answer.status_code in (OK, PARTIAL_CONTENT):
            part = answer.content_range
            file.start, file.stop = part.start or 0, blob.size if part.stop is None else part.stop
            # Named again, as the bucket's answer may give another address for the content than the client's own.
            file.read = partial(read, self._bucket().blob(blob.name, generation=blob.generation))
        abort(answer)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Lists a folder.

        Raises:
            MlflowException: It holds too many files to be shown.
        """
        prefix = self._name(path or "").rstrip("/") + "/"
        root = len(self._name("").rstrip("/")) + 1
        # Only what is shown is asked for: https://cloud.google.com/storage/docs/json_api#partial-response
        fields = "items(name,size),prefixes,nextPageToken"
        listing = self.client.list_blobs(self._bucket(), prefix=prefix, delimiter="/", fields=fields)
        files: list[FileInfo] = []
        folders: set[str] = set()
        for page in listing.pages:
            folders.update(page.prefixes)
            files += [FileInfo(blob.name[root:], False, blob.size) for blob in page if blob.name != prefix]  # noqa: FBT003
            if len(files) + len(folders) > LONGEST_LISTING:
                raise MlflowException.invalid_parameter_value(
                    f"The folder holds more than {LONGEST_LISTING} files, too many to list here. List it in the "
                    f"bucket: gcloud storage ls gs://{self._bucket().name}/{prefix}"
                )
        files += [FileInfo(folder[root:-1], True, None) for folder in folders]  # noqa: FBT003
        return sorted(files, key=lambda file: str(file.path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        """Downloads a file that MLflow's server parses.

        Raises:
            MlflowException: There is none, or it is too large.
        """
        blob = self._bucket().get_blob(self._name(remote_file_path))
        if blob is None:
            raise MlflowException(f"No such artifact: {remote_file_path}", RESOURCE_DOES_NOT_EXIST)
        if blob.size > LARGEST_PARSED:
            raise MlflowException.invalid_parameter_value(
                f"gs://{blob.bucket.name}/{blob.name} has {blob.size} bytes; the server opens {LARGEST_PARSED}. "
                "Read it from the bucket."
            )
        super()._download_file(undisguised(remote_file_path), local_path)

    def _bucket(self) -> Any:  # noqa: ANN401  the library has no types
        return self.client.bucket(self.parse_gcs_uri(self.artifact_uri)[0])

    def _name(self, path: str) -> str:
        return posixpath.join(self.parse_gcs_uri(self.artifact_uri)[1], undisguised(path))

    def _absent(self, path: str) -> NoReturn:
        """Says that there is no such file, or that it is a folder."""
        folder = self._name(path).rstrip("/") + "/"
        if any(True for _ in self.client.list_blobs(self._bucket(), prefix=folder, max_results=1)):
            problem = MlflowException.invalid_parameter_value(
                f"The artifact path {undisguised(path)!r} is a directory, not a file"
            )
        else:
            problem = MlflowException(f"No such artifact: {undisguised(path)}", RESOURCE_DOES_NOT_EXIST)
        abort(Response(problem.serialize_as_json(), problem.get_http_status_code(), mimetype="application/json"))


def read(blob: Any, start: int, last: int) -> bytes:  # noqa: ANN401
    """Returns some of an object's bytes as they are stored, of the version that the answer's headers describe."""
    return blob.download_as_bytes(start=start, end=last, raw_download=True, checksum=None)


def headers_for(blob: Any, filename: str) -> Response:  # noqa: ANN401
    """Returns the answer without its content: MLflow's headers, with the length, the version and the range."""
    answer = current_app.response_class()
    answer.content_length = blob.size
    answer.last_modified = blob.updated
    answer.set_etag(str(blob.generation))
    answer.cache_control.no_cache = True
    answer.headers["X-Goog-Hash"] = f"crc32c={blob.crc32c}"  # as the bucket itself says it, of the whole object
    answer = answer.make_conditional(request.environ, accept_ranges=True, complete_length=blob.size)
    if answer.status_code not in (OK, PARTIAL_CONTENT):
        answer.content_length = 0
    if blob.content_encoding:
        answer.headers["Content-Encoding"] = blob.content_encoding
    # The content type and the disposition that no browser takes for a page of this host.
    return handlers._response_with_file_attachment_headers(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        filename, answer
    )


def install() -> None:
    """Makes MLflow's server read buckets in this way; the registry is where plugins for other stores go too."""
    repositories: dict[str, Any] = artifact_repository_registry.get_registered_artifact_repositories()
    repositories["gs"] = BucketRepository
