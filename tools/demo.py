"""`make demo`: the document of environments/demo.toml, applied by the real Terraform to this machine; stays up.

Nothing of Google's is needed. The local cloud (docs/local-cloud.md) makes the resources of real parts; the document is
the one that Google would get.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx

from containers import images
from containers.engine import EngineError
from containers.private import NotPrivate, private_folder
from harness.sign_in import UP_OPTIONS
from localcloud import daemon, server
from localcloud.machine.database import build_image
from localcloud.machine.dialects import DIALECTS
from localcloud.machine.oauth_clients import OAuthClients
from localcloud.session import session
from localcloud.store import Store
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.settings.problems import SettingsError

CHECKOUT = Path(__file__).parents[1]
HOME = Path(os.environ.get("LOCALCLOUD_HOME", CHECKOUT / ".localcloud")).resolve()
ENVIRONMENT = "demo"
STACKS = ("bootstrap", "tracking")
USER = "you@example.com"
ANSWER_S = 60
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the demo is reached.

    Attributes:
        service: Where people and programs call the service.
        identity: The stand-in of Google's sign-in.
        storage: That of Cloud Storage.
        metadata: `HOST:PORT` of the user's metadata server.
    """

    service: str
    identity: str
    storage: str
    metadata: str

    def token_url(self) -> str:
        """Where the user gets an identity token for the service, as from `gcloud auth print-identity-token`."""
        return f"{self.identity}/identity?{urlencode({'email': USER, 'audience': self.service})}"


def say(text: str) -> None:
    """Tells a person what goes on."""
    print(f"[demo] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Generator[None]:
    """Announces a step, and says how long it took."""
    start = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: {time.monotonic() - start:.1f} s")


def run(*command: str, environment: dict[str, str]) -> None:
    """Runs a command of ours; what it says is shown when it fails.

    Raises:
        DemoError: It failed.
    """
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise DemoError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def build_images(settings: Settings) -> None:
    """Builds the image under the name that the stack expects, and that of the database server; both say so."""
    engine = daemon.settled_engine(HOME)
    engine.tag(images.build(engine), settings.service.image)
    build_image(engine, DIALECTS[settings.database.engine])


def start_local_cloud(settings: Settings) -> Addresses:
    """Starts the local cloud behind the stack's public URL.

    Raises:
        DemoError: It does not start; a port is taken, for example.
    """
    port = urlsplit(settings.service.public_url).port
    project = f"{settings.project.id}={settings.project.number}"
    arguments = [f"--port={port}", f"--user={USER}", f"--project={project}", *UP_OPTIONS]
    try:
        ports = daemon.start(HOME, CHECKOUT, arguments)["ports"]
    except daemon.NotUp as error:
        raise DemoError(
            f"{error}\nAnother port: MLFLOW_GCP__SERVICE__PUBLIC_URL=http://localhost:8001 make demo"
        ) from error
    if ports["front door"] != port:
        raise DemoError(f"the demo is up on port {ports['front door']}, not {port}: run `make demo-down` first")
    return Addresses(
        service=settings.service.public_url,
        identity=f"http://127.0.0.1:{ports['sign-in']}",
        storage=f"http://127.0.0.1:{ports['storage']}",
        metadata=f"127.0.0.1:{ports[f'metadata of {USER}']}",
    )


def oauth_client_secret(settings: Settings) -> str:
    """Makes the OAuth client, which on Google Cloud is made by hand, and returns its secret."""
    store = Store(HOME)
    try:
        back = f"{settings.service.public_url}/oauth2/callback"
        return OAuthClients(store).make(settings.access.oauth_client_id, redirect_uris=[back])
    finally:
        store.close()


def apply(settings: Settings) -> None:
    """Applies both stacks."""
    with session(HOME, CHECKOUT) as environment:
        environment |= {"TF_VAR_oauth_client_secret": oauth_client_secret(settings)}
        for stack in STACKS:
            terraform = ("terraform", f"-chdir=cdktf.out/stacks/{stack}")
            with step(f"terraform apply, {stack}"):
                run(*terraform, "init", "-input=false", environment=environment)
                run(*terraform, "apply", "-input=false", "-auto-approve", environment=environment)


def wait_for_answer(addresses: Addresses) -> None:
    """Calls the service as a program does.

    Raises:
        DemoError: It gives no good answer.
    """
    token = httpx.get(addresses.token_url()).text
    answer = httpx.get(f"{addresses.service}{SEARCH}", headers={"Authorization": f"Bearer {token}"}, timeout=ANSWER_S)
    if not answer.is_success:
        raise DemoError(f"the service answers {answer.status_code}: {answer.text[:500]}\nSee `make demo-logs`.")


def explain(addresses: Addresses) -> str:
    """Returns how to use the demo."""
    token = f"$(curl -s '{addresses.token_url()}')"
    return f"""
MLflow is up, behind its sign-in page, until `make demo-down`.

  Browser   {addresses.service}
            sign in as {USER}, or any other address at example.com

  curl      curl --header "Authorization: Bearer {token}" '{addresses.service}{SEARCH}'

  Python    .venv/bin/python -m uv pip install --quiet --python .venv ./client
            export MLFLOW_TRACKING_URI='{addresses.service}' MLFLOW_TRACKING_AUTH=google
            export GCE_METADATA_{{HOST,IP}}={addresses.metadata} GCE_METADATA_MTLS_MODE=none
            export API_ENDPOINT_OVERRIDE={addresses.storage} CLOUDSDK_CONFIG=/dev/null
            .venv/bin/python - <<'SNIPPET'
            import mlflow
            mlflow.set_experiment("first steps")
            with mlflow.start_run():
                mlflow.log_param("alpha", 0.5)
                mlflow.log_metric("loss", 0.1)
                mlflow.log_text("an artifact", "notes.txt")
            SNIPPET
            (lines 3 and 4 replace `gcloud auth application-default login`; instead of the package of line 1,
            MLFLOW_TRACKING_TOKEN="{token}" works for an hour)

  Also      make demo-status, make demo-logs, make demo-down
"""


def main() -> int:
    """Brings the demo up; returns the exit status."""
    started = time.monotonic()
    try:
        settings = load(CHECKOUT / "environments" / f"{ENVIRONMENT}.toml", os.environ)
        private_folder(HOME)
        with server.holding(HOME, "demo.lock"):
            build_images(settings)
            with step("synthesizing the stacks"):
                run(sys.executable, "main.py", environment=os.environ | {"MLFLOW_GCP_ENV": ENVIRONMENT})
            addresses = start_local_cloud(settings)
            apply(settings)
            with step("asking the service"):
                wait_for_answer(addresses)
    except (DemoError, EngineError, NotPrivate, SettingsError) as error:
        say(f"stopped: {error}")
        return 1
    say(f"up after {time.monotonic() - started:.0f} s")
    print(explain(addresses))
    return 0


if __name__ == "__main__":
    sys.exit(main())
