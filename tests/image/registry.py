"""A real image registry on loopback that asks for a password, and an engine that knows no other."""

import base64
import json
import shutil
import subprocess
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from containers.engine import Engine
from harness.waiting import wait_for
from localcloud.machine.background import free_port

USER, PASSWORD = "pusher", "tests-only"
BCRYPT_OF_PASSWORD = "$2b$04$pSMdLi.kwIPPzAs0ousQ.eWO9BRwcCKSKtKuwxBiCwRVg1qgHzLwW"  # noqa: S105
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
PUBLIC = ("docker.io", "quay.io")


@dataclass(frozen=True)
class Registry:
    """A running registry: its host and port, and the file where the engine keeps its logins."""

    host: str
    logins: Path

    @property
    def repository(self) -> str:
        """The name of an image in it."""
        return f"{self.host}/acme-ml-dev/mlflow/mlflow"

    def manifest(self, reference: str) -> dict[str, dict[str, str]]:
        """Returns what the registry holds under a tag or digest."""
        url = f"http://{self.host}/v2/acme-ml-dev/mlflow/mlflow/manifests/{reference}"
        return httpx.get(url, auth=(USER, PASSWORD), headers={"Accept": MANIFESTS}).raise_for_status().json()

    def answers(self) -> bool:
        """Tells whether it asks who is there."""
        try:
            return httpx.get(f"http://{self.host}/v2/").status_code == 401
        except httpx.TransportError:
            return False

    def log_in(self, password: str = PASSWORD) -> None:
        """Leaves a login for the engine, as `gcloud auth configure-docker` does."""
        credentials = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self.logins.write_text(json.dumps({"auths": {self.host: {"auth": credentials}}}))

    def log_out(self) -> None:
        """Takes the login away."""
        self.logins.write_text("{}")

    def environment(self) -> dict[str, str]:
        """Returns the variables by which an engine finds its logins, and takes no public registry for there."""
        folder = self.logins.parent
        # docker takes plain HTTP on loopback by itself
        plain_http = f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n'
        unreachable = "".join(f'[[registry]]\nlocation = "{name}"\nblocked = true\n' for name in PUBLIC)
        registries = folder / "registries.conf"
        registries.write_text(plain_http + unreachable)
        files = {"CONTAINERS_REGISTRIES_CONF": registries, "REGISTRY_AUTH_FILE": self.logins, "DOCKER_CONFIG": folder}
        return {name: str(path) for name, path in files.items()}


@contextmanager
def running(folder: Path) -> Generator[Registry]:
    """Runs Debian's registry; its images are kept in the folder."""
    if not shutil.which("docker-registry"):
        raise FileNotFoundError("docker-registry is missing: apt-get install docker-registry (tools/setup.sh does)")
    registry = Registry(f"127.0.0.1:{free_port()}", folder / "config.json")
    users = folder / "users"
    users.write_text(f"{USER}:{BCRYPT_OF_PASSWORD}\n")
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": registry.host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(users)}},
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("w") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(registry.answers, "the registry")
        yield registry
    finally:
        server.terminate()
        server.wait()


@contextmanager
def small_image(engine: Engine, folder: Path) -> Generator[str]:
    """Makes an image of one file that no other image has."""
    file = folder / "content"
    file.write_text(str(folder))
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(file, "content")
    name = f"localhost/{folder.name.lower()}:small"
    engine.load(archive, name)
    try:
        yield name
    finally:
        engine.run("rmi", "--force", engine.image_id(name))
