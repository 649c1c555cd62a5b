"""Runs the image as Cloud Run does: 1 CPU, 1 GiB, read-only root, /tmp in memory, secrets as file and environment."""

import base64
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from containers.container import Container, ContainerSpec
from containers.engine import HOST, Engine, EngineError
from harness.databases import Postgres
from harness.waiting import wait_for
from localcloud.machine.identity import IdentityProvider
from stacks import mlflow

PORT = 4180
CLIENT_ID = "1234-tests.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-tests-only-client-secret"  # noqa: S105
COOKIE_SECRET = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
SERVICE_URL = "https://mlflow-1234.europe-west1.run.app"
DOMAIN = "example.com"
USER = f"ada@{DOMAIN}"
SERVICE_ACCOUNT = "trainer@demo-project.iam.gserviceaccount.com"
START_DEADLINE_S = 120
START_SCRIPT = "bash /opt/image/start.sh"
MLFLOW = "/opt/mlflow/bin/python -m mlflow_cloudrun serve"
PROXY = "/usr/local/bin/oauth2-proxy"
EDGE = "/usr/sbin/haproxy"
PROJECT = "demo-project"
# Signals the first process whose command line starts with $1: the image has no pkill.
SIGNAL_BY_COMMAND = """
for folder in $(ls -v -d /proc/[0-9]*); do
  if [[ "$(tr '\\0' ' ' <"$folder/cmdline")" == "$1"* ]]; then kill "-$2" "${folder#/proc/}"; exit; fi
done
exit 1
"""
SECRETS_FOLDER = "/secrets/oauth2-proxy"
SECRETS_FILE = f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\ncookie_secret = "{COOKIE_SECRET}"\n'
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


def write_secret(folder: Path, content: str | None) -> None:
    """Lays the secret's file into a folder that the container's user may read, as Cloud Run mounts it."""
    folder.chmod(0o755)
    if content is not None:
        (folder / "oauth2-proxy.cfg").write_text(content)


@dataclass
class Service:
    """A running container and its address on this machine."""

    container: Container
    identity: IdentityProvider

    def __post_init__(self) -> None:
        # 127.0.0.1 and not localhost: MLflow's allowed hosts name the former only.
        self.url = f"http://127.0.0.1:{self.container.port(PORT)}"
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def token(self, *, audience: str = SERVICE_URL, email: str | None = USER, **claims: object) -> str:
        """Returns an identity token that the service accepts, unless the claims spoil it."""
        return self.identity.token(audience=audience, email=email, **claims)

    def bearer(self, *, audience: str = SERVICE_URL, email: str | None = USER, **claims: object) -> dict[str, str]:
        """Returns the header with such a token."""
        return {"Authorization": f"Bearer {self.token(audience=audience, email=email, **claims)}"}

    def ready(self) -> bool:
        """Returns whether the startup probe would pass."""
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def search(self) -> httpx.Response:
        """Asks MLflow for experiments, through the proxy."""
        return self.http.get(SEARCH, headers=self.bearer())

    def signal(self, command: str, name: str) -> None:
        """Sends a signal to the process of the container whose command line starts so."""
        try:
            self.container.execute("bash", "-c", SIGNAL_BY_COMMAND, "signal", command, name)
        except EngineError:
            # The signal may end the container, and that takes this command along before it has left by itself.
            wait_for(lambda: not self.container.running, f"{name} for {command}")

    def wait_until_ready(self) -> None:
        """Waits for the startup probe.

        Raises:
            EngineError: The container ended instead; its log is in the message.
        """

        def ready_or_dead() -> bool:
            return self.ready() or not self.container.running

        wait_for(ready_or_dead, "startup probe", deadline_s=START_DEADLINE_S)
        if not self.ready():
            raise EngineError(f"the container ended:\n{self.container.logs()}")


@dataclass(frozen=True, kw_only=True)
class Google:
    """The local stand-ins of Google's services, and their ports on 127.0.0.1."""

    identity: IdentityProvider
    identity_port: int
    storage_port: int


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The environment that Cloud Run and the stack give each container, and the ports of Google's stand-ins."""

    engine: Engine
    image: str
    postgres: Postgres
    google: Google
    secrets: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    logs: list[str] = field(default_factory=list[str])

    def variables(self, uri: str) -> dict[str, str]:
        """Returns the environment that the stack sets, with this machine's endpoints instead of Google's."""
        here = f"http://{HOST}:{self.google.identity_port}"
        return {
            **mlflow.ENVIRONMENT,
            "BACKEND_STORE_URI": uri,
            "DEFAULT_ARTIFACT_ROOT": "gs://artifacts",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "OAUTH_PROXY_CONFIG": f"{SECRETS_FOLDER}/oauth2-proxy.cfg",
            "OAUTH_PROXY_EMAILS": SERVICE_ACCOUNT,
            "OAUTH2_PROXY_REDIRECT_URL": f"{SERVICE_URL}/oauth2/callback",
            "OAUTH2_PROXY_EMAIL_DOMAINS": DOMAIN,
            "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES": SERVICE_URL,
            "OAUTH2_PROXY_LOGIN_URL": f"http://127.0.0.1:{self.google.identity_port}/auth",
            "OAUTH2_PROXY_REDEEM_URL": f"{here}/token",
            "OAUTH2_PROXY_OIDC_JWKS_URL": f"{here}/certs",
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:*,localhost:*,{urlsplit(SERVICE_URL).netloc}",
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": SERVICE_URL,
            "STORAGE_EMULATOR_HOST": f"http://{HOST}:{self.google.storage_port}",
            **self.environment,
        }

    def spec(self, uri: str, *, sockets: Path | None = None, **variables: str) -> ContainerSpec:
        """Returns the container as Cloud Run makes it; an empty variable is left out."""
        chosen = {name: value for name, value in (self.variables(uri) | variables).items() if value}
        return ContainerSpec(
            image=self.image,
            environment=chosen,
            mounts={sockets or self.postgres.sockets: "/cloudsql", self.secrets: SECRETS_FOLDER},
            writable=frozenset({"/cloudsql"}),
            tmpfs={"/tmp": 64},  # noqa: S108
            ports=[PORT],
            memory_mib=1024,
            cpus=1,
            read_only=True,
        )

    def job(self, database: str, *command: str) -> ContainerSpec:
        """Returns the container of a job of the same image."""
        return replace(self.spec(self.postgres.uri(database)), command=command)

    @contextmanager
    def running(self, spec: ContainerSpec) -> Generator[Container]:
        """Starts a container; keeps its log and removes it when the block ends."""
        container = self.engine.start(spec)
        try:
            yield container
        finally:
            self.logs.append(container.logs())
            container.remove()

    @contextmanager
    def service(
        self, uri: str, *, wait: bool = True, sockets: Path | None = None, **variables: str
    ) -> Generator[Service]:
        """Starts the service and waits for its startup probe."""
        with self.running(self.spec(uri, sockets=sockets, **variables)) as container:
            service = Service(container, self.google.identity)
            if wait:
                service.wait_until_ready()
            yield service

    def ends(self, spec: ContainerSpec, *, timeout_s: float = START_DEADLINE_S) -> tuple[int, str]:
        """Runs a container that ends by itself; returns its status and what it printed."""
        with self.running(replace(spec, ports=())) as container:
            return container.wait(timeout_s), container.logs()
