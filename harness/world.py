"""A local cloud of real parts with the demo's document applied to it, and what a person or program does there."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from containers import images
from containers.engine import Engine
from harness.sign_in import UP_OPTIONS
from harness.waiting import wait_for
from harness.workspace import Workspace
from localcloud import daemon
from localcloud.clock import Clock
from localcloud.machine.background import free_port
from localcloud.machine.metadata import variables
from localcloud.machine.oauth_clients import OAuthClients
from localcloud.session import session
from localcloud.store import Store
from stacks.settings.load import OVERRIDE_PREFIX, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from containers.container import Container

SETTINGS = Path(__file__).parents[1] / "environments" / "demo.toml"
STACKS = ("bootstrap", "tracking")
ENVIRONMENT = "e2e"  # it is in the state's place
WRITER = "writer@example.com"
READER = "reader@example.com"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


class World:
    """One environment on one local cloud.

    Attributes:
        url: Where people open the service.
        image: The name of the project's image, as it was deployed first.
        tracking: The tracking stack; `terraform` and its kin run there.
    """

    tracking: Workspace

    def __init__(self, folder: Path, *options: str, settings: Path = SETTINGS, **overrides: str) -> None:
        """Nothing runs yet.

        Args:
            folder: Where all of it is kept.
            options: More options of `python -m localcloud up`.
            settings: The settings file.
            overrides: Settings by their names in capitals, such as SERVICE__MIN_INSTANCES="1".
        """
        self.folder = folder
        self.home = folder / "cloud"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.settings_file = settings
        self.overrides = {
            "SERVICE__PUBLIC_URL": self.url,
            "ACCESS__ARTIFACT_WRITERS": f'{{ writer = "user:{WRITER}" }}',
            "ACCESS__INVOKER_IAM_DISABLED": "false",  # so that there is a grant to take away
            **overrides,
        }
        self.engine = Engine()
        self._options = options
        self._opened = ExitStack()

    @property
    def settings(self) -> Any:
        return load(self.settings_file, {f"{OVERRIDE_PREFIX}{name}": value for name, value in self.overrides.items()})

    def synthesize(self, **overrides: str) -> None:
        """Writes the documents, with changed settings."""
        from stacks.app import synthesize  # noqa: PLC0415 - cdktf starts node, which must find the bindings lazy

        self.overrides |= overrides
        synthesize(self.settings, environment=ENVIRONMENT, output=self.folder)

    def up(self) -> None:
        """Starts the local cloud, or starts it again."""
        project = self.settings.project
        users = [f"--user={user}" for user in (WRITER, READER)]
        arguments = [f"--port={self.port}", f"--project={project.id}={project.number}", *users]
        arguments += [*UP_OPTIONS, *self._options]
        self.facts = daemon.start(self.home, self.folder, arguments)
        if hasattr(self, "tracking"):
            self.tracking.environment["TF_REATTACH_PROVIDERS"] = self.facts["reattach"]

    def deploy(self) -> None:
        """Brings everything up, from nothing to an applied document."""
        self.image = self.settings.service.image
        self.engine.tag(images.build(self.engine), self.image)
        self.up()
        self.synthesize()
        environment = self._opened.enter_context(session(self.home, self.folder))
        environment |= {"TF_VAR_oauth_client_secret": self.oauth_client_secret()}
        for stack in STACKS:
            workspace = Workspace(self.home, self.folder / "stacks" / stack, environment)
            workspace.init()
            workspace.apply()
        self.tracking = workspace  # pyright: ignore[reportPossiblyUnboundVariable]
        self.oauth_client_secret(redirect_uris=[workspace.state()["outputs"]["redirect_uri"]["value"]])  # pyright: ignore[reportPossiblyUnboundVariable]

    def oauth_client_secret(self, *, redirect_uris: Sequence[str] = (), new_secret: bool = False) -> str:
        store = Store(self.home)
        try:
            client_id = self.settings.access.oauth_client_id
            return OAuthClients(store).make(client_id, redirect_uris=redirect_uris, new_secret=new_secret)
        finally:
            store.close()

    def pass_time(self, by: timedelta) -> None:
        """Pushes the clock of the local cloud, and waits until all who go by it have looked at it."""
        store = Store(self.home)
        try:
            clock = Clock(store)
            then = clock.push(by)
            wait_for(lambda: clock.is_noticed(then), "those who go by the clock", deadline_s=120)
        finally:
            store.close()

    def kill(self) -> None:
        """The local cloud dies; its containers do not."""
        os.kill(self.facts["pid"], signal.SIGKILL)
        wait_for(lambda: daemon.facts(self.home) is None, "the end of the local cloud")

    def close(self) -> None:
        """Forgets all of it."""
        self._opened.close()
        daemon.stop(self.home)
        daemon.clear(self.home)

    def instances(self) -> list[Container]:
        """The containers that run the service."""
        return [container for container in daemon.instances(self.home) if container.running]

    def revision(self) -> str:
        """The revision that takes the requests, as Terraform's state has it."""
        resources = self.tracking.state()["resources"]
        (service,) = (it for it in resources if it["type"] == "google_cloud_run_v2_service")
        return service["instances"][0]["attributes"]["latest_ready_revision"]

    @property
    def identity(self) -> str:
        """Where Google's sign-in is."""
        return f"http://127.0.0.1:{self.facts['ports']['sign-in']}"

    def token(self, email: str = WRITER, audience: str = "") -> str:
        """An identity token, as from `gcloud auth print-identity-token`."""
        query = {"email": email, "audience": audience or self.url}
        return httpx.get(f"{self.identity}/identity", params=query).raise_for_status().text

    def bearer(self, email: str = WRITER, audience: str = "") -> dict[str, str]:
        """The header with such a token."""
        return {"Authorization": f"Bearer {self.token(email, audience)}"}

    @property
    def storage(self) -> str:
        """Where Cloud Storage is."""
        return f"http://127.0.0.1:{self.facts['ports']['storage']}"

    def google_bearer(self, email: str) -> dict[str, str]:
        """The header that opens Google's own interfaces for somebody, as their clients send it."""
        server = f"http://127.0.0.1:{self.facts['ports'][f'metadata of {email}']}"
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        answer = httpx.get(f"{server}{path}", headers={"Metadata-Flavor": "Google"}).raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def client_environment(self, email: str = WRITER) -> Mapping[str, str]:
        """The variables of somebody's shell: MLflow's own two, and where Google's services are on this machine."""
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_TOKEN": self.token(email),
            "API_ENDPOINT_OVERRIDE": self.storage,
            **variables(f"127.0.0.1:{self.facts['ports'][f'metadata of {email}']}"),
        }
