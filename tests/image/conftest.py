"""One image for the whole run; one database server, identity provider and object store for each test process."""

from collections.abc import Generator
from pathlib import Path

import pytest

from containers.engine import Engine
from harness import local
from harness.databases import MySql, Postgres
from harness.service import SECRETS_FILE, Platform, Service
from tests.image import registry as registries
from tests.image.registry import Registry


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def platform(engine: Engine) -> Generator[Platform]:
    with local.platform(engine) as everything:
        yield everything


@pytest.fixture(scope="session")
def image(platform: Platform) -> str:
    return platform.image


@pytest.fixture(scope="session")
def postgres(platform: Platform) -> Postgres:
    return platform.postgres


@pytest.fixture(scope="session")
def storage_port(platform: Platform) -> int:
    return platform.google.storage_port


@pytest.fixture(scope="session")
def scratch() -> Generator[Path]:
    with local.scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def migrated(platform: Platform) -> str:
    """Name of a database with today's schema, to copy from."""
    return local.migrated_database(platform)


@pytest.fixture
def database(platform: Platform, migrated: str) -> str:
    """Name of a database of the test's own, with today's schema."""
    return platform.postgres.create(template=migrated)


@pytest.fixture(scope="module")
def service(platform: Platform, migrated: str) -> Generator[Service]:
    """The service on a database of its own, shared by the tests of a module."""
    with platform.service(platform.postgres.uri(platform.postgres.create(template=migrated))) as running:
        yield running


@pytest.fixture(scope="module", params=("postgresql", "mysql"))
def either(request: pytest.FixtureRequest, platform: Platform, migrated: str) -> Generator[Service]:
    """The service on PostgreSQL, then on MySQL's stand-in, shared by the tests of a module."""
    if request.param == "postgresql":
        with platform.service(platform.postgres.uri(platform.postgres.create(template=migrated))) as running:
            yield running
        return
    with local.scratch_folder() as folder:
        mysql = MySql(folder / "mysql")
        try:
            with platform.service(mysql.uri(), sockets=mysql.sockets) as running:
                yield running
        finally:
            mysql.stop()


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with registries.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def registry(empty_registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The one registry that engines can reach, where nobody is logged in."""
    for name, value in empty_registry.environment().items():
        monkeypatch.setenv(name, value)
    empty_registry.log_out()
    return empty_registry


@pytest.fixture
def registry_engine(registry: Registry) -> Engine:
    """An engine that was started in that world."""
    assert registry.answers()
    return Engine()


@pytest.fixture
def small_image(registry_engine: Engine, tmp_path: Path) -> Generator[str]:
    with registries.small_image(registry_engine, tmp_path) as name:
        yield name


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a service that is as it should be."""
    secret = tmp_path / "secret.cfg"
    secret.write_text(SECRETS_FILE)
    return {
        "PORT": "4180",
        "REQUEST_TIMEOUT_SECONDS": "300",
        "BACKEND_STORE_URI": "postgresql+psycopg2://mlflow:hidden%2F@/mlflow?host=/cloudsql/p:r:i",
        "DEFAULT_ARTIFACT_ROOT": "gs://artifacts",
        "OAUTH_PROXY_CONFIG": str(secret),
        "OAUTH2_PROXY_REDIRECT_URL": "https://mlflow.example.com/oauth2/callback",
        "OAUTH2_PROXY_EMAIL_DOMAINS": "example.com",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.example.com",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "https://mlflow.example.com",
    }
