"""Everything that the image needs around it, on this machine: database, sign-in, object store; also for bench/."""

import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from localcloud import images
from localcloud.background import serving
from localcloud.engine import Engine
from localcloud.identity import IdentityProvider
from localcloud.machine.storage import ObjectStore
from tests.image.databases import Postgres
from tests.image.harness import CLIENT_ID, CLIENT_SECRET, SECRETS_FILE, Google, Platform, write_secret


@contextmanager
def scratch_folder() -> Generator[Path]:
    """Makes a folder that a database server may enter (pytest's own is private) and whose path suits a socket."""
    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def object_store() -> Generator[int]:
    """Runs the object store with the bucket `artifacts`, without a gate; yields its port on 127.0.0.1."""
    with scratch_folder() as folder:
        store = ObjectStore(folder)
        store.start()
        try:
            store.create_bucket({"name": "artifacts"})
            yield int(store.origin.rpartition(":")[2])
        finally:
            store.stop()


@contextmanager
def google() -> Generator[Google]:
    """Runs the identity provider and the object store."""
    identity = IdentityProvider(client_secret={CLIENT_ID: CLIENT_SECRET}.get)
    with object_store() as storage_port, serving(identity.application()) as identity_port:
        yield Google(identity=identity, identity_port=identity_port, storage_port=storage_port)


@contextmanager
def platform(engine: Engine) -> Generator[Platform]:
    """Builds the image, says which versions it holds, and runs what it needs."""
    image = images.build(engine)
    versions = engine.run("run", "--rm", "--network=none", image, "version").split("\n")
    sys.stderr.write(f"[image] {image} holds {', '.join(versions)}\n")
    with scratch_folder() as folder, google() as services:
        secrets = folder / "secrets"
        secrets.mkdir()
        write_secret(secrets, SECRETS_FILE)
        postgres = Postgres(folder / "postgres")
        try:
            yield Platform(engine=engine, image=image, postgres=postgres, google=services, secrets=secrets)
        finally:
            postgres.stop()


def migrated_database(platform: Platform) -> str:
    """Returns the name of a database with today's schema, to copy from."""
    name = platform.postgres.create()
    status, log = platform.ends(platform.job(name, "db-upgrade"))
    assert status == 0, log
    return name
