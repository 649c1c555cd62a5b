"""`make image-push`, to a real registry that listens on loopback and asks for a password."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from localcloud.engine import Engine, EngineError
from stacks.settings.load import load
from tests.image.databases import wait_for
from tests.stacks.documents import ENVIRONMENTS, document
from tools.push import push, repository_of

CHECKOUT = Path(__file__).parents[2]
USER, PASSWORD = "pusher", "tests-only"
PASSWORD_BCRYPT = "$2b$04$pSMdLi.kwIPPzAs0ousQ.eWO9BRwcCKSKtKuwxBiCwRVg1qgHzLwW"
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
EX_UNAVAILABLE = 69


@dataclass(frozen=True)
class Registry:
    """A running registry, and where its images are."""

    host: str

    @property
    def repository(self) -> str:
        return f"{self.host}/acme-ml-dev/mlflow/mlflow"

    def manifest(self, reference: str) -> dict[str, dict[str, str]]:
        """Returns what the registry holds under a tag or digest."""
        url = f"http://{self.host}/v2/acme-ml-dev/mlflow/mlflow/manifests/{reference}"
        return httpx.get(url, auth=(USER, PASSWORD), headers={"Accept": MANIFESTS}).raise_for_status().json()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if not shutil.which("docker-registry"):
        pytest.fail("docker-registry is missing: apt-get install docker-registry (tools/setup.sh does)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    users = folder / "users"
    users.write_text(f"{USER}:{PASSWORD_BCRYPT}\n")
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(users)}},
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("w") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(host), "the registry")
        yield Registry(host)
    finally:
        server.terminate()
        server.wait()


def answers(host: str) -> bool:
    try:
        return httpx.get(f"http://{host}/v2/").status_code == 401
    except httpx.TransportError:
        return False


@pytest.fixture
def logins(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file where the engine keeps its logins, as `gcloud auth configure-docker` leaves it: nobody is logged in."""
    registries = tmp_path / "registries.conf"
    plain_http = f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
    unreachable = "".join(f'[[registry]]\nlocation = "{name}"\nblocked = true\n' for name in ("docker.io", "quay.io"))
    registries.write_text(plain_http + unreachable)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(registries))  # docker takes plain HTTP on loopback by itself
    file = tmp_path / "config.json"
    file.write_text("{}")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return file


def log_in(logins: Path, registry: Registry, password: str) -> None:
    credentials = base64.b64encode(f"{USER}:{password}".encode()).decode()
    logins.write_text(json.dumps({"auths": {registry.host: {"auth": credentials}}}))


@pytest.fixture
def engine(logins: Path) -> Engine:
    assert logins.exists()
    return Engine()


@pytest.fixture
def small_image(engine: Engine, tmp_path: Path) -> Generator[str]:
    file = tmp_path / "content"
    file.write_text(str(tmp_path))  # an image that no other test has
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(file, "content")
    name = f"localhost/{tmp_path.name.lower()}:small"
    engine.load(archive, name)
    yield name
    engine.run("rmi", "--force", engine.image_id(name))


def test_the_printed_reference_is_the_image_in_the_registry(
    engine: Engine, logins: Path, registry: Registry, small_image: str
) -> None:
    log_in(logins, registry, PASSWORD)
    reference = push(engine, small_image, registry.repository)
    repository, _, digest = reference.partition("@")
    assert repository == registry.repository
    assert registry.manifest(digest)["config"]["digest"] == f"sha256:{engine.image_id(small_image)}"


def test_the_same_image_is_pushed_under_the_same_tag_and_another_one_under_another(
    engine: Engine, logins: Path, registry: Registry, small_image: str
) -> None:
    log_in(logins, registry, PASSWORD)
    assert push(engine, small_image, registry.repository) == push(engine, small_image, registry.repository)
    assert registry.manifest(engine.image_id(small_image)[:12])


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_a_login_one_line_tells_how_to_log_in(
    engine: Engine, logins: Path, registry: Registry, small_image: str, password: str
) -> None:
    if password:
        log_in(logins, registry, password)
    with pytest.raises(EngineError) as told:
        push(engine, small_image, registry.repository)
    line = str(told.value)
    assert f"{registry.host} did not take the image: log in with `gcloud auth configure-docker {registry.host}`" in line
    assert "\n" not in line
    assert USER not in line
    assert not password or password not in line


def test_without_a_registry_one_line_tells_what_to_look_at(engine: Engine, small_image: str) -> None:
    with pytest.raises(EngineError) as told:
        push(engine, small_image, "127.0.0.1:9/acme-ml-dev/mlflow/mlflow")
    line = str(told.value)
    assert "can 127.0.0.1:9 be reached? (" in line
    assert "\n" not in line


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.push", "demo"]
    return subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.usefixtures("logins")
def test_an_image_of_other_than_the_pinned_bases_is_not_pushed() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (EX_UNAVAILABLE, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("image-push: nothing is pushed: the image cannot be built from its pinned bases (")


def test_without_a_container_engine_one_line_tells_what_to_install(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (EX_UNAVAILABLE, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("image-push: no container engine works: neither podman nor docker is installed")


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_images_go_where_the_bootstrap_stack_makes_a_repository(environment: str) -> None:
    repository = repository_of(load(ENVIRONMENTS / f"{environment}.toml", {}))
    output = document(environment, "bootstrap")["output"]["image_repository"]["value"]
    made = document(environment, "bootstrap")["resource"]["google_artifact_registry_repository"]["images"]
    resolved = output.replace("${google_artifact_registry_repository.images.repository_id}", made["repository_id"])
    assert repository == f"{resolved}/mlflow"
