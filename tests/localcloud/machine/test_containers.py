"""What a container gets of this machine: its own identity, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from containers import images
from containers.container import ContainerSpec
from containers.engine import HOST, Engine
from localcloud.machine.background import serving
from localcloud.machine.callers import PROGRAMS
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.metadata import Metadata, only
from localcloud.machine.storage import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers.container import Container

ADA = "ada@example.com"
ONE, TWO = "one@acme.iam.gserviceaccount.com", "two@acme.iam.gserviceaccount.com"
ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"
# Asks for each line of its input, an address and a Host header; tells status (0: nobody there) and body.
ASK = """
import json, sys, http.client
answers = []
for line in sys.stdin:
    address, path, host = json.loads(line)
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host or address, "Metadata-Flavor": "Google"})
        answer = connection.getresponse()
        answers.append([answer.status, answer.read().decode()])
    except OSError as error:
        answers.append([0, str(error)])
print(json.dumps(answers))
"""


class Inside:
    """A container of a service account."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def ask(self, *questions: tuple[str, str] | tuple[str, str, str]) -> list[list[Any]]:
        """Asks addresses, each `HOST:PORT`, for paths, perhaps under another name."""
        lines = "".join(json.dumps([*question, ""][:3]) + "\n" for question in questions)
        return json.loads(self.container.execute("/opt/mlflow/bin/python", "-c", ASK, stdin=lines))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def label() -> str:
    return f"localcloud=test-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def containers(engine: Engine, label: str) -> Iterator[tuple[Inside, Inside, Inside]]:
    """One container of each account, and one that is no service's."""
    image = images.build(engine)
    with ExitStack() as stack:
        made: list[Inside] = []
        for labels in ({"account": ONE}, {"account": TWO}, {}):
            name, _, value = label.partition("=")
            spec = ContainerSpec(
                image=image,
                entrypoint="/opt/mlflow/bin/python",
                command=["-c", "import time; time.sleep(600)"],
                labels={name: value if labels else "another", **labels},
            )
            made.append(Inside(engine.start(spec)))
            stack.callback(made[-1].container.remove)
        yield made[0], made[1], made[2]


@pytest.fixture(scope="module")
def identity() -> IdentityProvider:
    return IdentityProvider(clients={}.get)


@pytest.fixture(scope="module")
def server(engine: Engine, identity: IdentityProvider, label: str) -> Iterator[str]:
    """The metadata server of containers, as they reach it."""

    async def whose(address: str) -> str | None:
        return (await asyncio.to_thread(engine.labels_at, address, label)).get("account")

    application = Metadata(identity, whose=whose, project="acme", number="1", region="here").application()
    with serving(application, bridge=engine.bridge) as port:
        yield f"{HOST}:{port}"


def test_each_container_is_its_own_account_whatever_it_says(
    containers: tuple[Inside, Inside, Inside], server: str, identity: IdentityProvider
) -> None:
    for inside, own, other in ((containers[0], ONE, TWO), (containers[1], TWO, ONE)):
        email, token, by_name, of_other, spoofed = inside.ask(
            (server, f"{ACCOUNTS}/default/email"),
            (server, f"{ACCOUNTS}/default/token"),
            (server, f"{ACCOUNTS}/{own}/token"),
            (server, f"{ACCOUNTS}/{other}/token"),
            (server, f"{ACCOUNTS}/default/email", "127.0.0.1"),
        )
        assert email == spoofed == [200, own]
        assert identity.authenticate(json.loads(token[1])["access_token"]) == own
        assert identity.authenticate(json.loads(by_name[1])["access_token"]) == own
        assert of_other[0] == 404


def test_a_container_of_no_service_is_nobody(containers: tuple[Inside, Inside, Inside], server: str) -> None:
    answers = containers[2].ask((server, f"{ACCOUNTS}/default/token"), (server, f"{ACCOUNTS}/{ONE}/token"))
    assert [status for status, _ in answers] == [403, 403]


def test_a_program_of_this_machine_is_no_container(server: str) -> None:
    url = f"http://127.0.0.1:{server.partition(':')[2]}{ACCOUNTS}/default/token"
    assert httpx.get(url, headers={"Metadata-Flavor": "Google"}).status_code == 403


def test_no_container_is_a_person_of_this_machine(
    containers: tuple[Inside, Inside, Inside], engine: Engine, identity: IdentityProvider
) -> None:
    person = Metadata(identity, whose=only(ADA), project="acme", number="1", region="here").application()
    with (
        serving(person, callers=PROGRAMS) as person_port,
        serving(identity.application(), bridge=engine.bridge) as sign_in_port,
    ):
        questions = [
            (f"{HOST}:{port}", path, name)
            for port, path in ((person_port, f"{ACCOUNTS}/default/token"), (sign_in_port, f"/identity?email={ADA}"))
            for name in ("", "localhost", f"127.0.0.1:{port}")
        ]
        answers = containers[0].ask(*questions)
        assert {status for status, _ in answers} <= {0, 403}
        assert httpx.get(f"http://127.0.0.1:{sign_in_port}/identity?email={ADA}").status_code == 200


def test_no_container_reaches_the_objects_but_through_the_gate(
    containers: tuple[Inside, Inside, Inside], tmp_path: Path
) -> None:
    store = ObjectStore(tmp_path)
    store.start()
    try:
        address, port = store.origin.removeprefix("http://").split(":")
        answers = containers[0].ask(*((f"{host}:{port}", "/storage/v1/b") for host in (HOST, address)))
    finally:
        store.stop()
    assert [status for status, _ in answers] == [0, 0]
