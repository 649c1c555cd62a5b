"""A Cloud Storage of one's own: buckets in the books, objects in a store, and the gate that asks IAM before it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from google.auth.credentials import Signing
from google.cloud import storage  # pyright: ignore[reportMissingTypeStubs]
from google.oauth2.credentials import Credentials

from localcloud.machine.background import serving
from localcloud.machine.object_versions import ObjectVersions
from localcloud.machine.storage import ObjectStore, gate
from localcloud.resource import Cloud
from localcloud.services.storage import Bucket, BucketMember
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from containers.engine import Bridge
    from localcloud.machine.identity import IdentityProvider
    from localcloud.terraform.model import Object

SERVER = "mlflow-server@acme.iam.gserviceaccount.com"
ADA = "ada@example.com"
BUCKET: Object = {"name": "acme-artifacts", "project": "acme", "force_destroy": False}
OTHER: Object = {"name": "acme-other", "project": "acme", "force_destroy": False}


class Signer(Signing):
    """Signs as a service account, by whatever signs for it."""

    def __init__(self, email: str, sign: Callable[[bytes], bytes]) -> None:
        self._email, self._sign = email, sign

    @property
    def signer_email(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Its address."""
        return self._email

    @property
    def signer(self) -> Signer:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Itself."""
        return self

    def sign_bytes(self, message: bytes) -> bytes:
        """Returns a text's signature."""
        return self._sign(message)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A Cloud Storage of one's own, and ways to it."""

    cloud: Cloud
    identity: IdentityProvider
    store: ObjectStore
    versions: ObjectVersions
    url: str

    def grant(self, role: str, email: str = SERVER, bucket: Object = BUCKET) -> str:
        """Binds a role on a bucket; returns the binding's id."""
        kind = "serviceAccount" if email.endswith(".gserviceaccount.com") else "user"
        member = email if ":" in email else f"{kind}:{email}"
        key = f"b/{bucket['name']}/roles/storage.{role}/{member}"
        binding: Object = {"id": key, "bucket": f"b/{bucket['name']}", "role": f"roles/storage.{role}"}
        self.cloud.store.put(BucketMember.type, key, {**binding, "member": member})
        return key

    def client(self, email: str = SERVER) -> storage.Client:
        """Google's client, signed in with an access token."""
        credentials = Credentials(self.identity.access_token(email))
        return storage.Client(project="acme", credentials=credentials, client_options={"api_endpoint": self.url})

    def bucket(self, email: str = SERVER, bucket: Object = BUCKET) -> storage.Bucket:
        """Returns a bucket as somebody sees it."""
        return self.client(email).bucket(bucket["name"])  # pyright: ignore[reportUnknownMemberType]

    def link(self, name: str, email: str = SERVER, **options: object) -> str:
        """Returns a link to an object that a service account has signed, for a minute."""
        signer = Signer(email, lambda message: self.identity.account_keys.sign(email, message))
        usual = {"credentials": signer, "api_access_endpoint": self.url, "expiration": timedelta(minutes=1)}
        return str(self.bucket().blob(name).generate_signed_url(version="v4", **(usual | options)))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportArgumentType]


@contextmanager
def two_buckets(
    folder: Path, identity: IdentityProvider, store: ObjectStore, bridge: Bridge | None = None
) -> Generator[Place]:
    """Makes two buckets in a running store, and serves them behind the gate; with a bridge, to containers too."""
    with ExitStack() as stack:
        books = Store(folder)
        stack.callback(books.close)
        cloud = Cloud(books)
        for bucket in (BUCKET, OTHER):
            store.create_bucket(bucket)
            books.put(Bucket.type, str(bucket["name"]), bucket)
            stack.callback(store.remove_bucket, {**bucket, "force_destroy": True})
        versions = ObjectVersions(folder / "versions", store)
        port = stack.enter_context(serving(gate(cloud, identity, store, versions.keep), bridge=bridge))
        yield Place(cloud=cloud, identity=identity, store=store, versions=versions, url=f"http://127.0.0.1:{port}")
