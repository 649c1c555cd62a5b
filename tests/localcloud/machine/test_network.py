"""A server in a VPC network: reached at its private address, under TLS, by what is in the network and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from containers.container import ContainerSpec
from containers.engine import Engine
from image.mlflow_cloudrun import tls
from localcloud.services import sql_certificates
from tests.localcloud.machine.servers import CLIENT, PYTHON, Local, instance, uri

if TYPE_CHECKING:
    from collections.abc import Generator

    from localcloud.terraform.model import Object

ADDRESS = "10.27.0.3"
VERSIONS = {"postgresql": "POSTGRES_17", "mysql": "MYSQL_8_4"}
PORTS = {"postgresql": 5432, "mysql": 3306}
IN_CLEAR = {"postgresql": "sslmode=disable", "mysql": "ssl_disabled=true"}
REFUSED = {"postgresql": "no encryption", "mysql": "insecure transport are prohibited"}
EX_CONFIG = 78
WAIT = """
import socket, sys, time
for _ in range({tries}):
    try:
        socket.create_connection(("{address}", {port}), timeout=5).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("nothing listens")
"""
"""The way is there a little after the container, as at Google."""

TRUST = """
import os, pathlib
from mlflow_cloudrun import reach, settings, tls
settings.write_authority(os.environ, pathlib.Path(tls.FILE))
reach.reach(os.environ["BACKEND_STORE_URI"])
"""
"""What the image does before it connects."""


class InNetwork:
    """A local cloud with one server in a network."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.local = Local(engine)
        self.described: Object = instance(name, version=VERSIONS[name]) | {"private_ip_address": ADDRESS}
        settings = self.described["settings"]
        assert isinstance(settings, list)
        assert isinstance(settings[0], dict)
        settings[0]["ip_configuration"] = [
            {"private_network": "projects/p/global/networks/ml", "ssl_mode": "ENCRYPTED_ONLY"}
        ]
        self.local.run(self.described)
        self.local.fill(name)

    @property
    def authority(self) -> str:
        return self.local.identity(self.described).authority

    def uri(self, query: str) -> str:
        start = uri(self.name).partition("@/")[0]
        return f"{start}@{ADDRESS}:{PORTS[self.name]}/mlflow?{query}"

    def waiting(self, tries: int) -> str:
        """A program that ends when something listens at the address."""
        return WAIT.format(tries=tries, address=ADDRESS, port=PORTS[self.name])

    def client(
        self, address: str, *command: str, entrypoint: str = "", is_in: bool = True, authority: str = ""
    ) -> tuple[int, str]:
        """Runs a command in a container without any socket."""
        container = self.local.engine.start(
            ContainerSpec(
                image=self.local.image,
                entrypoint=entrypoint,
                command=command,
                environment={"BACKEND_STORE_URI": address, **({"DATABASE_CA": authority} if authority else {})},
                tmpfs={"/tmp": 64},  # noqa: S108
                read_only=True,
                labels={"localcloud": self.local.label},
                helpers=[self.local.servers.way(self.described)] if is_in else [],
            )
        )
        try:
            return container.wait(120), container.logs().strip()
        finally:
            container.remove()


@pytest.fixture(scope="module", params=VERSIONS)
def place(request: pytest.FixtureRequest) -> Generator[InNetwork]:
    made = InNetwork(Engine(), request.param)
    try:
        yield made
    finally:
        made.local.servers.remove(made.described)


def trusted(place: InNetwork) -> str:
    return place.uri(next(query for scheme, query in tls.QUERIES.items() if scheme.startswith(place.name)))


def test_the_image_reaches_the_database_by_the_address_alone(place: InNetwork) -> None:
    program = f"{TRUST}\n{CLIENT}"
    assert place.client(trusted(place), "-c", program, "SELECT 1", entrypoint=PYTHON, authority=place.authority) == (
        0,
        "1",
    )


@pytest.mark.parametrize("takes_the_name", [False, True])
def test_what_another_authority_has_issued_gets_no_password(
    place: InNetwork, monkeypatch: pytest.MonkeyPatch, *, takes_the_name: bool
) -> None:
    if takes_the_name:
        known = x509.load_pem_x509_certificate(place.authority.encode())
        name = str(known.subject.get_attributes_for_oid(NameOID.DN_QUALIFIER)[0].value)
        monkeypatch.setattr(sql_certificates, "qualifier", lambda: name)
    other = place.local.identity({**place.described, "name": f"another-{takes_the_name}"}).authority
    status, said = place.client(trusted(place), "db-upgrade", authority=other)
    assert (status, "was not issued by DATABASE_CA, and no password was sent" in said) == (EX_CONFIG, True), said


def test_who_comes_in_clear_is_refused(place: InNetwork) -> None:
    program = f"{place.waiting(200)}\n{CLIENT}"
    status, said = place.client(place.uri(IN_CLEAR[place.name]), "-c", program, "SELECT 1", entrypoint=PYTHON)
    assert (status, REFUSED[place.name] in said) == (1, True), said


def test_who_is_not_in_the_network_finds_nothing_at_the_address(place: InNetwork) -> None:
    assert place.client("", "-c", place.waiting(200), entrypoint=PYTHON)[0] == 0
    assert place.client("", "-c", place.waiting(3), entrypoint=PYTHON, is_in=False) == (1, "nothing listens")
    ways = [line for line in place.local.engine.run("ps", "--format={{.Command}}").splitlines() if ADDRESS in line]
    assert ways == [], "a helper ends with what it helps"
