"""A service and the jobs beside it: one database, buckets that ask IAM, and an account for each of the two."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from containers.engine import HOST
from harness.buckets import BUCKET, SERVER, Place, two_buckets
from harness.load import API
from harness.service import USER
from localcloud.machine.background import serving
from localcloud.machine.interfaces import Interfaces
from localcloud.machine.metadata import Metadata, only, variables
from localcloud.machine.storage import ObjectStore
from localcloud.resource import ENABLED_API
from localcloud.services.iamcredentials import API as API_OF_LINKS
from localcloud.services.iamcredentials import ServiceAccountMember

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from google.cloud import storage

    from containers.container import Container, ContainerSpec
    from containers.engine import Bridge
    from harness.relay import Relay
    from harness.service import Platform, Service
    from localcloud.terraform.model import Object

COLLECTOR = "mlflow-gc@acme.iam.gserviceaccount.com"
OWNER = "owner@acme.iam.gserviceaccount.com"
ROOT = f"gs://{BUCKET['name']}"
PROJECT, NUMBER, REGION = "acme", "1", "europe-west1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended."""

    status: int
    log: str

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Its log's entries; every line is one."""
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        """What its last line says."""
        return self.entries[-1]["summary"]

    def about(self, name: str) -> list[dict[str, Any]]:
        """Returns the entries about one thing."""
        return [entry for entry in self.entries if entry.get("id") == name]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A running service, and what runs jobs on its database and buckets.

    Attributes:
        execute: Runs one statement on the database and returns its rows.
        holding: Runs one that is committed when the block ends (PostgreSQL alone).
        accounts: The address of each account's metadata server.
    """

    platform: Platform
    uri: str
    sockets: Path
    place: Place
    service: Service
    execute: Callable[[str], list[tuple[Any, ...]]]
    environment: dict[str, str]
    accounts: dict[str, str]
    holding: Callable[[str], AbstractContextManager[None]] = nullcontext
    server: str = SERVER

    def spec(self, *command: str, account: str = COLLECTOR, **options: str) -> ContainerSpec:
        """Returns the container of a job, as an account runs it."""
        environment = self.environment | variables(self.accounts[account]) | options
        spec = self.platform.spec(self.uri, sockets=self.sockets, **environment)
        return replace(spec, command=command, ports=())

    def job(self, *command: str, account: str = COLLECTOR, **options: str) -> Outcome:
        """Runs a job to its end."""
        return Outcome(*self.platform.ends(self.spec(*command, account=account, **options)))

    @contextmanager
    def running(self, *command: str) -> Generator[Container]:
        """Starts a job."""
        with self.platform.running(self.spec(*command)) as container:
            yield container

    def call(self, method: str, path: str, **body: object) -> dict[str, Any]:
        """Calls MLflow's API as a person."""
        headers = self.service.bearer()
        if method == "GET":
            answer = self.service.http.get(f"{API}/{path}", params=body, headers=headers)  # pyright: ignore[reportArgumentType]
        else:
            answer = self.service.http.request(method, f"{API}/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def experiment(self, name: str, **options: str) -> str:
        """Makes an experiment; returns its id."""
        return self.call("POST", "experiments/create", name=name, **options)["experiment_id"]

    def run(self, experiment: str = "0", files: int = 2) -> str:
        """Makes a run with metrics, parameters, tags and files; returns its id."""
        info = self.call("POST", "runs/create", experiment_id=experiment, start_time=1)["run"]["info"]
        metrics = [{"key": "loss", "value": 1 / step, "timestamp": step, "step": step} for step in range(1, 4)]
        batch = {"metrics": metrics, "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "1"}]}
        self.call("POST", "runs/log-batch", run_id=info["run_id"], **batch)
        self.upload(*(f"{info['artifact_uri']}/model/ü {number}%.bin" for number in range(files)))
        return info["run_id"]

    def delete_run(self, run: str) -> None:
        """Deletes a run, as people do: it can be restored."""
        self.call("POST", "runs/delete", run_id=run)

    @cached_property
    def bucket(self) -> storage.Bucket:
        """The bucket, as its owner sees it."""
        return self.place.bucket(OWNER)

    def upload(self, *uris: str) -> None:
        """Puts small files into the bucket."""
        for uri in uris:
            self.bucket.blob(uri.removeprefix(f"{ROOT}/")).upload_from_string("content")

    def files(self, prefix: str) -> list[str]:
        """Returns the names of the objects below a prefix."""
        return [blob.name for blob in self.bucket.list_blobs(prefix=prefix)]

    def count(self, table: str, condition: str = "1 = 1") -> int:
        """Counts rows."""
        return int(self.execute(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])  # noqa: S608


@contextmanager
def signing(place: Place, bridge: Bridge | None, relay: Relay) -> Generator[dict[str, str]]:
    """Lets the server hand out links, and has MLflow's permissions; yields the variables that it needs."""
    unused: Any = None
    interfaces = Interfaces(place.cloud, place.identity, unused, unused).application()
    place.grant("objectUser", SERVER)
    account, role = f"projects/{PROJECT}/serviceAccounts/{SERVER}", "roles/iam.serviceAccountTokenCreator"
    key = f"{account}/{role}/serviceAccount:{SERVER}"
    binding: Object = {"id": key, "role": role, "member": f"serviceAccount:{SERVER}"}
    place.cloud.store.put(ServiceAccountMember.type, key, binding)
    place.cloud.store.put(ENABLED_API, f"{PROJECT}/{API_OF_LINKS.name}", {"id": API_OF_LINKS.name})
    with serving(interfaces, bridge=bridge) as port, relay.standing(urlsplit(place.url).port or 0) as bucket:
        permissions = {"default": "READ", "admins": [USER], "readers": [], "teams": {"vision": [USER]}}
        yield {
            "ARTIFACT_LINKS": "true",
            "CLIENTS_STORAGE_ENDPOINT": bucket,
            "IAMCREDENTIALS_ENDPOINT": f"http://{HOST}:{port}",
            "PERMISSIONS": json.dumps(permissions),
        }


@contextmanager
def deployed(  # noqa: PLR0913 - the last is a choice
    platform: Platform,
    uri: str,
    sockets: Path,
    execute: Callable[[str], list[tuple[Any, ...]]],
    scratch: Path,
    *,
    links: Relay | None = None,
) -> Generator[Deployment]:
    """Deploys the service on a database that is there; with links to the bucket, by a relay, if there is one."""
    identity, bridge = platform.google.identity, platform.engine.bridge
    with ExitStack() as stack:
        store = ObjectStore(scratch / "objects")
        store.start()
        stack.callback(store.stop)
        place = stack.enter_context(two_buckets(scratch / "books", identity, store, bridge))
        for role, account in (
            ("objectViewer", SERVER),
            ("objectUser", COLLECTOR),
            ("objectUser", OWNER),
        ):
            place.grant(role, account)
        accounts: dict[str, str] = {}
        for account in (SERVER, COLLECTOR):
            metadata = Metadata(identity, whose=only(account), project=PROJECT, number=NUMBER, region=REGION)
            accounts[account] = f"{HOST}:{stack.enter_context(serving(metadata.application(), bridge=bridge))}"
        environment = {
            "DEFAULT_ARTIFACT_ROOT": ROOT,
            "STORAGE_EMULATOR_HOST": "",  # would mean that nobody asks for credentials
            "API_ENDPOINT_OVERRIDE": f"http://{HOST}:{urlsplit(place.url).port}",
        }
        own = (
            environment
            | variables(accounts[SERVER])
            | (stack.enter_context(signing(place, bridge, links)) if links else {})
        )
        service = stack.enter_context(platform.service(uri, sockets=sockets, **own))
        yield Deployment(
            platform=platform,
            uri=uri,
            sockets=sockets,
            place=place,
            service=service,
            execute=execute,
            environment=environment,
            accounts=accounts,
        )
