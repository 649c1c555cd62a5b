"""The bucket as the jobs use it: they list, look, and delete, and say which role is missing."""

# google-cloud-storage has few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false

import logging
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request
from google.cloud.storage import Client  # pyright: ignore[reportMissingTypeStubs]
from google.cloud.storage.retry import DEFAULT_RETRY  # pyright: ignore[reportMissingTypeStubs]
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository
from requests.exceptions import RequestException

from mlflow_cloudrun.jobs.report import ForbiddenError, LeftError
from mlflow_cloudrun.locations import Locations

AT_A_TIME = 8  # below the 10 connections that requests keep open
TIMEOUT_S = 60
PATIENCE = DEFAULT_RETRY.with_timeout(TIMEOUT_S)
# Google's words: ACCOUNT does not have storage.objects.delete access to the Google Cloud Storage object.
REFUSAL = re.compile(r"(\S+@\S+) does not have (storage\.\w+\.\w+) access")
WRITER, READER = "roles/storage.objectUser", "roles/storage.objectViewer"
DELETE, LIST, GET, CREATE = "delete objects", "list objects", "read objects", "create objects"
ROLES = {DELETE: WRITER, CREATE: WRITER, LIST: READER, GET: READER}


class Objects:
    """The buckets that the deployment serves.

    Args:
        served: Where its artifacts are; nothing else is touched.
    """

    def __init__(self, served: Locations) -> None:
        self.served = served
        self.log = logging.getLogger(__name__)
        self._forbidden: dict[tuple[str, str], ForbiddenError] = {}

    @cached_property
    def client(self) -> Client:
        """The client, with the account of the job; anonymous where there is none."""
        try:
            return Client()
        except DefaultCredentialsError:
            return Client.create_anonymous_client()

    def folder(self, uri: str, owner: str) -> tuple[Any, str]:
        """Returns the bucket and the prefix of a folder that belongs to one run, model or trace alone.

        Raises:
            LeftError: It is elsewhere, or might also be others'.
        """
        bucket, prefix = self.place(uri)
        if owner not in prefix.split("/"):
            raise LeftError("foreign", f"its files are at {uri}, which might also be the files of others")
        return bucket, prefix

    def place(self, uri: str) -> tuple[Any, str]:
        """Returns the bucket and the prefix of a location, with a slash at its end.

        Raises:
            LeftError: It is elsewhere.
        """
        if not self.served.serves(uri):
            roots = ", ".join(self.served.served)
            raise LeftError(
                "foreign",
                f"its files are at {uri}, and this deployment serves {roots}. Name the bucket in "
                "service.artifact_roots, or change the location with rewrite-roots",
            )
        name, prefix = GCSArtifactRepository.parse_gcs_uri(uri)
        return self.client.bucket(name), prefix.rstrip("/") + "/"

    def refuse_where_files_stay(self, uri: str) -> None:
        """Returns whether files at a location could be deleted, as far as that is known.

        Raises:
            LeftError: They could not.
        """
        self.refuse_again(self.place(uri)[0], DELETE)

    def delete_below(self, uri: str, owner: str, *, before_ms: float = math.inf) -> int:
        """Deletes the files of one run, model or trace; returns how many.

        Args:
            uri: Their location.
            owner: The id that must be a part of it.
            before_ms: Only files that were made until then, in milliseconds since 1970.

        Raises:
            LeftError: Some are still there, and why.
        """
        bucket, prefix = self.folder(uri, owner)
        self.refuse_again(bucket, DELETE)
        deleted = 0
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for page in self.listing(bucket, prefix).pages:
                names = [blob.name for blob in page if blob.time_created.timestamp() * 1000 <= before_ms]
                deleted += sum(pool.map(partial(self.delete, bucket), names))
        return deleted

    def folders(self, uri: str) -> Iterator[list[str]]:
        """Yields the names of the folders in a folder, by pages.

        Raises:
            LeftError: The bucket gives none.
        """
        bucket, prefix = self.place(uri)
        self.refuse_again(bucket, LIST)
        for page in self.listing(bucket, prefix, delimiter="/").pages:
            yield [folder.rstrip("/").rpartition("/")[2] for folder in page.prefixes]

    def something_at(self, uri: str) -> bool:
        """Returns whether there is an object at a location, or below it.

        Raises:
            LeftError: It is elsewhere, or the bucket does not say.
        """
        bucket, prefix = self.place(uri)
        self.refuse_again(bucket, LIST)
        found = self.listing(bucket, prefix.rstrip("/"), max_results=10).pages
        names = {prefix.rstrip("/"), prefix}
        return any(blob.name in names or blob.name.startswith(prefix) for page in found for blob in page)

    def read(self, blob: Any, path: Path) -> None:  # noqa: ANN401
        """Copies an object to a file.

        Raises:
            LeftError: The bucket does not give it.
        """
        try:
            blob.download_to_filename(str(path), timeout=TIMEOUT_S)
        except (GoogleAPICallError, GoogleAuthError, RetryError, RequestException) as error:
            self.translate(error, blob.bucket, GET)

    def delete(self, bucket: Any, name: str) -> int:  # noqa: ANN401
        """Deletes an object; returns 0 if somebody else had done so.

        Raises:
            LeftError: It is still there.
        """
        try:
            bucket.blob(name).delete(timeout=TIMEOUT_S, retry=PATIENCE)
        except NotFound:
            return 0
        except (GoogleAPICallError, GoogleAuthError, RetryError, RequestException) as error:
            self.translate(error, bucket, DELETE)
        return 1

    def listing(self, bucket: Any, prefix: str, **options: Any) -> Any:  # noqa: ANN401
        """Lists the objects below a prefix; its pages raise LeftError."""
        fields = "items(name,size,timeCreated),prefixes,nextPageToken"
        return Listing(self, bucket, self.client.list_blobs(bucket, prefix=prefix, fields=fields, **options))

    def translate(self, error: Exception, bucket: Any, may_not: str) -> NoReturn:  # noqa: ANN401
        """Raises the error in the words of whoever runs the deployment.

        Raises:
            LeftError: Always.
        """
        if isinstance(error, Forbidden | Unauthorized):
            told = REFUSAL.search(str(error))
            missing = ForbiddenError(
                told[1] if told else self.account(), may_not, f"gs://{bucket.name}", ROLES[may_not]
            )
            self._forbidden[bucket.name, may_not] = missing
            raise missing from error
        if isinstance(error, NotFound):
            raise LeftError("missing", f"there is no bucket gs://{bucket.name}") from error
        first = str(error).strip().partition("\n")[0]
        raise LeftError("error", f"gs://{bucket.name}: {type(error).__name__}: {first}") from error

    def refuse_again(self, bucket: Any, may_not: str) -> None:  # noqa: ANN401
        """Does not ask again for what was refused before.

        Raises:
            ForbiddenError: It was.
        """
        for refused in (may_not, LIST):
            if known := self._forbidden.get((bucket.name, refused)):
                raise known

    def ask_for_account(self) -> str:
        """Returns the address of the job's account, which the metadata server gives with a token; empty without one."""
        credentials: Any = self.client._credentials  # noqa: SLF001
        try:
            credentials.refresh(Request())
        except GoogleAuthError:
            return ""
        return getattr(credentials, "service_account_email", None) or ""

    def account(self) -> str:
        """Returns the address of the job's account, as far as it is known."""
        return getattr(self.client._credentials, "service_account_email", None) or "this job's account"  # noqa: SLF001


class Listing:
    """The pages of a list of objects."""

    def __init__(self, objects: Objects, bucket: Any, found: Any) -> None:  # noqa: ANN401
        self._objects, self._bucket, self._found = objects, bucket, found

    @property
    def pages(self) -> Iterator[Any]:
        """Yields them.

        Raises:
            LeftError: The bucket gives none.
        """
        pages = iter(self._found.pages)
        while True:
            try:
                page = next(pages)
            except StopIteration:
                return
            except (GoogleAPICallError, GoogleAuthError, RetryError, RequestException) as error:
                self._objects.translate(error, self._bucket, LIST)
            yield page
