"""What a web page on this machine tries at a local cloud that runs here, and what it gets: nothing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localcloud import daemon
from tests.e2e.browser import visiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ADA = "ada@example.com"
DEADLINE_S = 20
TOKENS = "/computeMetadata/v1/instance/service-accounts/default/token"
# What each server gives to whoever may have it: the front door's are not the local cloud's, but its services'.
GIVES = {
    "sign-in": [f"/identity?email={ADA}", "/certs", "/auth"],
    "storage": ["/storage/v1/b/a/o"],
    f"metadata of {ADA}": [TOKENS, "/"],
}
FOREIGN_NAMES = [
    "evil.example.com",
    "evil.example.com:{port}",
    "127.0.0.1.evil.example.com:{port}",
    "localhost.evil.example.com",
    "localhost:{port}@evil.example.com",
    "evil.example.com:80:{port}",
    "0.0.0.0:{port}",
    "2130706433:{port}",
    "",
]
PAGES = [
    {"Origin": "http://evil.example.com"},
    {"Origin": "http://localhost:1"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Origin": "http://localhost:8000"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, int]]:
    folder = tmp_path_factory.mktemp("attacked")
    yield daemon.start(folder / "cloud", folder, [f"--user={ADA}"])["ports"]
    daemon.stop(folder / "cloud")


def ask(port: int, path: str, *headers: str, method: str = "GET") -> tuple[int, str]:
    """Sends exactly these headers; returns the status, and the whole answer in lower case."""
    lines = [f"{method} {path} HTTP/1.1", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = connection.makefile("rb").read().decode()
    return int(answer.split()[1]), answer.lower()


def as_headers(page: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in page.items()]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_a_name_that_is_bound_to_this_machine_leads_nowhere(ports: Mapping[str, int], name: str) -> None:
    for server, paths in GIVES.items():
        for path in paths:
            host = f"Host: {name.format(port=ports[server])}"
            status, _ = ask(ports[server], path, host, "Metadata-Flavor: Google")
            assert status == 421, (server, path)
    assert ask(ports["front door"], "/", f"Host: {name.format(port=ports['front door'])}")[0] == 404


def test_a_page_sends_people_to_signed_links_of_the_bucket_and_shows_them_in_no_frame(
    ports: Mapping[str, int],
) -> None:
    link = "/bucket/file?X-Goog-Signature=00"
    for destination, status in (("document", 400), ("iframe", 403)):
        page = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": destination}
        assert ask(ports["storage"], link, "Host: localhost", *as_headers(page))[0] == status


def test_a_request_without_a_name_or_with_two_leads_nowhere(ports: Mapping[str, int]) -> None:
    for server, paths in GIVES.items():
        for hosts in ([], ["Host: localhost", "Host: evil.example.com"]):
            status, _ = ask(ports[server], paths[0], *hosts, "Metadata-Flavor: Google")
            assert status in {400, 421}, (server, hosts)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_another_origin_gets_nothing_and_may_read_nothing(
    ports: Mapping[str, int], page: Mapping[str, str]
) -> None:
    for server, paths in GIVES.items():
        for path in paths:
            own = [f"Host: 127.0.0.1:{ports[server]}", "Metadata-Flavor: Google"]
            status, answer = ask(ports[server], path, *own, *as_headers(page))
            assert (status, "access-control" in answer) == (403, False), (server, path)


def test_a_page_may_not_send_more_than_a_simple_request(ports: Mapping[str, int]) -> None:
    asks = ["Access-Control-Request-Method: PUT", "Access-Control-Request-Private-Network: true"]
    for server, paths in GIVES.items():
        host = f"Host: localhost:{ports[server]}"
        status, answer = ask(ports[server], paths[0], host, *as_headers(PAGES[0]), *asks, method="OPTIONS")
        assert (status, "access-control" in answer) == (403, False), server


def test_a_page_sends_the_person_to_the_sign_in_and_nowhere_else(ports: Mapping[str, int]) -> None:
    arrives = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    host = f"Host: localhost:{ports['sign-in']}"
    assert ask(ports["sign-in"], "/auth", host, *arrives)[1].endswith("unknown client_id")
    assert ask(ports["sign-in"], f"/identity?email={ADA}", host, *arrives)[0] == 403
    signs_in = [*arrives, "Origin: http://evil.example.com", "Content-Length: 0"]
    assert ask(ports["sign-in"], "/auth", host, *signs_in, method="POST")[0] == 403


def test_programs_get_what_they_came_for(ports: Mapping[str, int]) -> None:
    metadata = ports[f"metadata of {ADA}"]
    assert ask(metadata, TOKENS, f"Host: 127.0.0.1:{metadata}", "Metadata-Flavor: Google")[0] == 200
    assert ask(ports["sign-in"], f"/identity?email={ADA}", f"Host: LOCALHOST:{ports['sign-in']}")[0] == 200


def test_in_a_browser_a_page_of_such_a_name_reads_no_token(ports: Mapping[str, int]) -> None:
    port = ports["sign-in"]
    with visiting("--host-resolver-rules=MAP evil.example.com 127.0.0.1") as visitor:
        answer = visitor.page.goto(f"http://evil.example.com:{port}/certs")
        assert answer
        assert answer.status == 421
        read = visitor.page.evaluate(f"fetch('/identity?email={ADA}').then(answer => answer.text())")
        assert not read.startswith("eyJ")


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses at which a process and its children listen."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {line[9]: line[1] for line in table if line[3] == "0A"}
    children = [
        int(child)
        for tasks in Path(f"/proc/{pid}/task").iterdir()
        for child in (tasks / "children").read_text().split()
    ]
    own: set[tuple[str, int]] = set().union(*(listening(child) for child in children))
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink()) if descriptor.is_symlink() else ""
        where = sockets.get(target.removeprefix("socket:[").removesuffix("]"))
        if where:
            address, port = where.split(":")
            own.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return own


def test_what_has_no_gate_is_not_where_pages_and_containers_look(tmp_path: Path) -> None:
    facts = daemon.start(tmp_path / "cloud", tmp_path, [])
    try:
        found = listening(facts["pid"])
    finally:
        daemon.stop(tmp_path / "cloud")
    assert {port for address, port in found if address == "127.0.0.1"} == set(facts["ports"].values())
    (emulator,) = {address for address, _ in found} - {"127.0.0.1"}
    assert emulator.startswith("127.")
