"""Hands out what opens one object of the bucket without a role there: an upload's session, or a signed link.

A client then writes and reads artifacts of any size straight at the bucket, by MLflow's own endpoints for that. Its
handlers find the run or the logged model and check the path, and what guards them decides who may. Both are secrets: a
session is good for its one object for a week, a link for as long as it was asked for.

https://cloud.google.com/storage/docs/resumable-uploads, https://cloud.google.com/storage/docs/access-control/signed-urls
"""

# MLflow and google-cloud-storage have few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import logging
import mimetypes
import os
import posixpath
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import google.auth
from flask import Flask, request
from google.api_core.exceptions import Forbidden, GoogleAPIError
from google.auth import iam
from google.auth.credentials import Signing
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from mlflow.entities import LifecycleStage
from mlflow.entities.presigned_download import PresignedDownloadUrlResponse
from mlflow.entities.presigned_upload import CreatePresignedUploadResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE
from mlflow.server import handlers
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.artifact_repo import MultipartDownloadMixin, PresignedUploadMixin

from mlflow_cloudrun.artifacts import DISGUISE, undisguised
from mlflow_cloudrun.bucket import BucketRepository
from mlflow_cloudrun.identity import asked

UPLOAD, DOWNLOAD = "/artifacts/presigned-upload-url", "/artifacts/presigned-download-url"
# A download that breaks goes on with a new link; who left a team should not have an old one for days.
LONGEST_LINK_S = 3600
LONGEST_NAME = 1024  # https://cloud.google.com/storage/docs/objects#naming
ANSWER_S = 30
IAM, SCOPE = "https://iamcredentials.googleapis.com", "https://www.googleapis.com/auth/iam"
CANNOT_WRITE = (
    "The server's account may not write to gs://{bucket}: it needs roles/storage.objectUser there. "
    "service.artifact_links grants it on the deployment's own bucket; the owner of another bucket does there."
)
CANNOT_SIGN = (
    "The server's account may not sign links: it needs roles/iam.serviceAccountTokenCreator on itself, and the API "
    "iamcredentials.googleapis.com must be on. service.artifact_links grants the one; the bootstrap stack switches the "
    "other on."
)
UNANSWERED = "The bucket, or what signs its links, cannot be reached at the moment. Try again in some seconds."
DELETED = "Run {run_id} is deleted: nothing can be uploaded to it. Restore it first, or log to another one."
logger = logging.getLogger(__name__)


class ToIam(Request):
    """Asks Google's IAM, or what stands for it in a test."""

    def __call__(self, url: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  as its base
        """Sends a request."""
        place = os.environ.get("IAMCREDENTIALS_ENDPOINT") or IAM
        return super().__call__(url.replace(IAM, place), *arguments, **{"timeout": ANSWER_S, **options})


class OwnSignature(Signing):
    """Signs as the account that the server runs as, which has no key here: IAM signs for it."""

    def __init__(self) -> None:
        # Not the bucket's: those open Cloud Storage alone.
        self.credentials: Any = google.auth.default(scopes=[SCOPE])[0]
        self.request = ToIam()

    @property
    def signer_email(self) -> str:
        """The account's address, which the metadata server tells with the first token."""
        if "@" not in self.credentials.service_account_email:
            self.credentials.refresh(self.request)
        return str(self.credentials.service_account_email)

    @property
    def signer(self) -> iam.Signer:
        """What asks for the signature."""
        return iam.Signer(self.request, self.credentials, self.signer_email)

    def sign_bytes(self, message: bytes) -> bytes:
        """Returns a text's signature."""
        return bytes(self.signer.sign(message))


class LinkedRepository(BucketRepository, PresignedUploadMixin, MultipartDownloadMixin):
    """MLflow's repository for gs:// on a server that hands out sessions and links."""

    signature: OwnSignature | None = None  # one for all, with its token

    def create_presigned_upload_url(self, artifact_path: str, expiration: int = 900) -> Any:  # noqa: ANN401  MLflow's
        """Begins an upload of a file; a session has Google's own time of a week, whatever `expiration` says.

        Raises:
            MlflowException: The path names no file, or the bucket refuses.
        """
        del expiration
        name = self._file(artifact_path)
        asked.get().name(undisguised(artifact_path))
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with explained(CANNOT_WRITE.format(bucket=self._bucket().name)):
            session = self._bucket().blob(name).create_resumable_upload_session(kind, checksum=None, timeout=ANSWER_S)
        return CreatePresignedUploadResponse(for_clients(session))

    def get_download_presigned_url(self, artifact_path: str, expiration: int = 300) -> Any:  # noqa: ANN401
        """Signs a link to a file, of the version that is there now.

        Raises:
            MlflowException: The path names no file, or the link would live too long.
            werkzeug.exceptions.HTTPException: There is no such file.
        """
        if expiration > LONGEST_LINK_S:
            raise MlflowException.invalid_parameter_value(
                f"A link lives for {LONGEST_LINK_S} s at most, not {expiration}: ask for another one when it has ended."
            )
        name = self._file(artifact_path)
        blob = self._bucket().get_blob(name)
        if blob is None:
            self._absent(artifact_path)
        with explained(CANNOT_SIGN):
            LinkedRepository.signature = LinkedRepository.signature or OwnSignature()
            url = blob.generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=expiration),
                generation=blob.generation,
                # So that no browser takes it for a page.
                response_disposition=f"attachment; filename*=UTF-8''{quote(posixpath.basename(name))}",
                credentials=LinkedRepository.signature,
                api_access_endpoint=for_clients(self.client.api_endpoint),
            )
        return PresignedDownloadUrlResponse(url, {}, blob.size)

    def _file(self, path: str) -> str:
        """Returns the object's name.

        Raises:
            MlflowException: It could be none.
        """
        name, decoded = self._name(path), undisguised(path)
        while (further := unquote(decoded)) != decoded:
            decoded = further
        if "" in path.split("/") or {".", ".."} & set(re.split(r"[/\\]", decoded)):
            raise MlflowException.invalid_parameter_value(
                f"The artifact path {undisguised(path)!r} must name a file, without parts that are empty, . or .."
            )
        if len(name.encode()) > LONGEST_NAME:
            raise MlflowException.invalid_parameter_value(
                f"The object would have a name of {len(name.encode())} bytes; Cloud Storage takes {LONGEST_NAME}."
            )
        return name


@contextmanager
def explained(refusal: str) -> Generator[None]:
    """Words what Google answers.

    Args:
        refusal: What it means if it refuses.
    """
    try:
        yield
    except Forbidden as error:
        logger.error("%s Google said: %s", refusal, error)  # noqa: TRY400  it says all
        raise MlflowException(refusal, PERMISSION_DENIED) from error
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        forbidden = "PERMISSION_DENIED" in str(error)
        logger.error("%s Google said: %s", refusal if forbidden else UNANSWERED, error)  # noqa: TRY400
        if forbidden:
            raise MlflowException(refusal, PERMISSION_DENIED) from error
        raise MlflowException(UNANSWERED, TEMPORARILY_UNAVAILABLE) from error


def for_clients(url: str) -> str:
    """Returns an address of Cloud Storage as clients reach it; elsewhere than the server only in a test."""
    place = os.environ.get("CLIENTS_STORAGE_ENDPOINT")
    return urlunsplit((*urlsplit(place)[:2], *urlsplit(url)[2:])) if place else url


def take_any_name() -> None:
    """Lets MLflow's check of paths take each character that a file's name may have (artifacts.py)."""
    if request.path.endswith((UPLOAD, DOWNLOAD)):
        body: object = request.get_json(force=True, silent=True)  # MLflow reads the same next; Werkzeug keeps it
        if isinstance(body, dict) and isinstance(body.get("path"), str):
            body["path"] = body["path"].translate(str.maketrans(DISGUISE))


def install(app: Flask) -> None:
    """Makes MLflow's server hand them out."""
    repositories: dict[str, Any] = artifact_repository_registry.get_registered_artifact_repositories()
    repositories["gs"] = LinkedRepository
    of_run: Any = handlers._get_artifact_repo  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def of_living_run(run: Any) -> Any:  # noqa: ANN401
        if request.path.endswith(UPLOAD) and run.info.lifecycle_stage == LifecycleStage.DELETED:
            raise MlflowException.invalid_parameter_value(DELETED.format(run_id=run.info.run_id))
        return of_run(run)

    handlers._get_artifact_repo = of_living_run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    app.before_request(take_any_name)
