"""Cloud Run's promises to one container: its limits, its instances, and what a new revision does to the old one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from containers import images
from containers.engine import Engine
from harness.waiting import wait_for
from localcloud.machine import scaling
from localcloud.machine.background import serving
from localcloud.machine.callers import EVERYBODY
from localcloud.machine.frontdoor import MAX_ANSWER_BYTES, MAX_HEADER_BYTES, MAX_REQUEST_BYTES
from localcloud.machine.template import REVISION_LABEL
from localcloud.terraform.model import Refused
from tests.localcloud.machine.echo_service import NAME, SERVER, Place, restarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


ONE_AT_A_TIME = {"max_instance_request_concurrency": 1, "scaling": [{"max_instance_count": 1}]}
PIECE = b"x" * (1 << 20)
LIVENESS = {"http_get": [{"path": "/"}], "period_seconds": 1, "timeout_seconds": 1, "failure_threshold": 2}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    return images.build(engine)


@pytest.fixture
def idle_s() -> float:
    """Seconds without a request after which an instance ends."""
    return 900


@pytest.fixture
def place(tmp_path: Path, engine: Engine, image: str, idle_s: float) -> Iterator[Place]:
    place = Place(tmp_path, engine, image, idle_s=idle_s)
    with serving(place.application(), callers=EVERYBODY) as port:
        place.http.base_url = f"http://127.0.0.1:{port}"
        try:
            yield place
            place.do(place.services.close())
            assert not place.containers()
        finally:
            for container in place.containers():
                container.remove()


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield b"x" * (size % len(PIECE))


@pytest.mark.parametrize("body", [lambda size: b"x" * size, pieces], ids=["content-length", "chunked"])
def test_a_request_has_at_most_32_mib(place: Place, body: Callable[[int], bytes | Iterator[bytes]]) -> None:
    place.deploy()
    assert place.http.post("/", content=body(MAX_REQUEST_BYTES)).json()["bytes"] == MAX_REQUEST_BYTES
    assert place.http.post("/", content=body(MAX_REQUEST_BYTES + 1)).status_code == 413


def test_an_answer_that_states_its_length_has_at_most_32_mib_with_its_headers(place: Place) -> None:
    place.deploy()
    fits = MAX_ANSWER_BYTES - 1024
    assert len(place.http.get("/large", params={"bytes": fits}).content) == fits
    for size in (MAX_ANSWER_BYTES - 1, MAX_ANSWER_BYTES + 1):  # the first fits only without its headers
        refused = place.http.get("/large", params={"bytes": size})
        assert (refused.status_code, "Server Error" in refused.text) == (500, True)
    chunked = place.http.get("/large", params={"bytes": MAX_ANSWER_BYTES + 1, "chunked": "yes"})
    assert (chunked.status_code, len(chunked.content)) == (200, MAX_ANSWER_BYTES + 1)
    assert place.http.head("/large", params={"bytes": 2 * MAX_ANSWER_BYTES}).status_code == 200
    assert place.get()


def test_a_requests_headers_have_at_most_64_kib_together(place: Place) -> None:
    place.deploy()
    fits = {"X-Large": "x" * (MAX_HEADER_BYTES - 1024)}
    assert place.http.get("/", headers=fits).json()["headers"]["x-large"] == fits["X-Large"]
    for large in ({"X-Large": "x" * MAX_HEADER_BYTES}, {f"X-{number}": "x" * 1024 for number in range(64)}):
        assert place.http.get("/", headers=large).status_code == 413
    half = "x" * (MAX_HEADER_BYTES // 2)
    assert place.http.get("/", params={"large": half}, headers={"X-Large": half}).status_code == 413


def test_no_name_but_its_own_leads_to_a_service(place: Place) -> None:
    place.deploy()
    for name, status in {"echo.run.app": 200, "localhost": 200, "LOCALHOST:1": 200, "evil.example.com": 404}.items():
        assert place.http.get("/", headers={"Host": name}).status_code == status, name


def test_nobody_reaches_an_instance_but_through_the_front_door(place: Place) -> None:
    place.deploy()
    (container,) = place.containers()
    address, _, port = container.published(8080).partition(":")
    assert httpx.get(f"http://{address}:{port}/").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")


def test_a_request_that_lasts_too_long_gets_504_and_the_next_one_its_answer(place: Place) -> None:
    place.deploy(timeout="1s")
    assert place.http.get("/", params={"seconds": 5}).status_code == 504
    assert place.get()


def test_an_answer_that_lasts_too_long_is_cut_off_and_nothing_is_put_behind_it(place: Place) -> None:
    place.deploy(timeout="1s")
    received: list[bytes] = []
    with place.http.stream("GET", "/begin-and-hang", params={"seconds": 5}) as answer:
        pieces_of_it = answer.iter_raw()
        received.append(next(pieces_of_it))
        with pytest.raises(httpx.TransportError):
            received.extend(pieces_of_it)
    assert received == [b"half"]


def test_requests_wait_for_a_place_when_an_instance_takes_one_at_a_time(place: Place) -> None:
    place.deploy(container={"liveness_probe": [LIVENESS]}, **ONE_AT_A_TIME)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: place.get(seconds=0.5), range(6)))
    # Probes are beside the count: https://cloud.google.com/run/docs/configuring/healthchecks
    assert max(answer["most"] for answer in answers) <= 2


def test_a_container_is_told_who_called_how_and_which_trace_it_is(place: Place) -> None:
    place.deploy()
    told = place.http.get("/", headers={"X-Forwarded-For": "192.0.2.1"}).json()["headers"]
    assert told["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert told["x-forwarded-proto"] == "http"
    assert told["forwarded"] == 'for="127.0.0.1";proto=http'
    assert told["host"] == place.http.base_url.netloc.decode()
    assert told["x-cloud-trace-context"].partition("/")[0] == told["traceparent"].split("-")[1]
    given = {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}
    kept = place.http.get("/", headers=given).json()["headers"]
    assert kept["traceparent"] == given["traceparent"]
    assert "x-cloud-trace-context" not in kept


def test_as_many_instances_as_the_minimum_are_kept_running(place: Place) -> None:
    place.deploy(scaling=[{"min_instance_count": 2}])
    killed = place.containers()[0]
    killed.signal("KILL")
    wait_for(lambda: killed.id not in {container.id for container in place.containers()}, "the end of the killed one")
    wait_for(lambda: len([it for it in place.containers() if it.running]) == 2, "a new instance")
    assert place.get()


def test_a_killed_instance_is_replaced_for_the_next_request(place: Place) -> None:
    place.deploy()
    (killed,) = place.containers()
    killed.signal("KILL")
    wait_for(lambda: not place.containers(), "the end of the killed one")
    assert not killed.id.startswith(place.get()["instance"])


def test_a_hung_instance_is_replaced_when_its_liveness_probe_fails(place: Place) -> None:
    place.deploy(container={"liveness_probe": [LIVENESS]})
    (hung,) = place.containers()
    hung.pause()
    wait_for(lambda: hung.id not in {container.id for container in place.containers()}, "the end of the hung one")
    assert not hung.id.startswith(place.get()["instance"])


@pytest.mark.parametrize("idle_s", [3])
def test_load_starts_instances_up_to_the_maximum_and_cuts_off_nothing_when_they_end(place: Place) -> None:
    """Two requests at a time for each of at most three: eight need four."""
    place.deploy(max_instance_request_concurrency=2, scaling=[{"max_instance_count": 3}])
    instances = place.services.revisions[NAME].instances

    def ask_until_all_run(_: int) -> dict[str, Any]:
        while True:
            all_run, answer = len(instances) == 3, place.get(seconds=0.5)
            if all_run:
                return answer

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(ask_until_all_run, range(8)))
        assert len({answer["instance"] for answer in answers}) == 3
        assert max(answer["most"] for answer in answers) <= 3  # a probe is beside the count
        assert len(place.containers()) == 3

        long = pool.submit(place.get, seconds=6)
        wait_for(lambda: len(place.containers()) == 1, "the end of those that are idle")
        (left,) = place.containers()
        assert left.id.startswith(long.result()["instance"])
        wait_for(lambda: not place.containers(), "scale to zero")


def test_of_an_instance_killed_under_load_only_the_requests_that_it_has_fail(place: Place) -> None:
    place.deploy(max_instance_request_concurrency=4, scaling=[{"min_instance_count": 2, "max_instance_count": 2}])
    before = {container.id for container in place.containers()}
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(place.http.get, "/", params={"seconds": 3}) for _ in range(16)]
        instances = place.services.revisions[NAME].instances
        wait_for(lambda: [instance.in_flight for instance in instances] == [4, 4], "the requests")
        place.containers()[0].signal("KILL")
        statuses = sorted(future.result().status_code for future in asked)
        assert statuses == [200] * 12 + [503] * 4  # no one who waits is sent to the dead one
        assert place.get(seconds=0.1)
    wait_for(lambda: len({it.id for it in place.containers()} - before) == 1, "another instance")


@pytest.mark.parametrize("idle_s", [2])
def test_a_busy_cpu_starts_an_instance_however_few_requests_there_are(place: Place) -> None:
    """A share of a CPU, so that it is busy also on a machine with more to do."""
    small = {"limits": {"memory": "128Mi", "cpu": "200m"}, "cpu_idle": False}
    place.deploy(container={"resources": [small]}, scaling=[{"max_instance_count": 2}])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(place.get, busy=6)
        wait_for(lambda: len(place.services.revisions[NAME].instances) == 2, "another instance")
        assert asked.result()


SERVER_AS_CHILD = {"command": ["sh"], "args": ["-c", 'python3 -c "$0" & wait; sleep 600', SERVER]}
KILL_SERVER = """
import glob, os
for path in glob.glob("/proc/[0-9]*/cmdline"):
    process = int(path.split("/")[2])
    if process not in (1, os.getpid()) and b"ThreadingHTTPServer" in open(path, "rb").read():
        os.kill(process, 9)
"""


def test_an_instance_whose_port_has_closed_gets_no_further_request(place: Place) -> None:
    """As of a container that is dying, whose first process is the last to go."""
    place.deploy(container=SERVER_AS_CHILD, scaling=[{"min_instance_count": 2}])
    place.containers()[0].execute("python3", "-c", KILL_SERVER)
    assert Counter(place.http.get("/").status_code for _ in range(8)) == {503: 1, 200: 7}


def test_who_finds_no_instance_in_time_gets_429(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "PENDING_S", 0.5)
    monkeypatch.setattr(scaling, "PENDING_STARTS", 0)
    place.deploy(**ONE_AT_A_TIME)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(place.http.get, "/", params={"seconds": 3}) for _ in range(2))
        assert sorted((first.result().status_code, second.result().status_code)) == [200, 429]
    assert place.get()


@pytest.mark.parametrize("idle_s", [0.5])
def test_an_idle_service_has_no_instance_and_answers_all_the_same(place: Place) -> None:
    place.deploy()
    wait_for(lambda: not place.containers(), "scale to zero")
    assert place.get()


@pytest.mark.parametrize("idle_s", [2])
def test_many_requests_at_once_wake_one_instance(place: Place) -> None:
    place.deploy()
    wait_for(lambda: not place.containers(), "scale to zero")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: place.get(seconds=0.2), range(8)))
    assert len({answer["instance"] for answer in answers}) == 1


def test_a_revision_that_ends_at_once_is_refused_with_its_log_and_the_old_one_goes_on(place: Place) -> None:
    old = place.deploy()
    with pytest.raises(Refused, match="Revision 'echo-00002' is not ready and cannot serve traffic") as refused:
        place.deploy("fail")
    assert "no such table" in refused.value.problems[0].detail
    assert place.get()["revision"] == old
    assert len(place.containers()) == 1


def test_a_revision_that_cannot_even_be_started_leaves_nothing(place: Place) -> None:
    with pytest.raises(Refused, match="could not be started"):
        place.deploy(container={"command": ["/no/such/program"]})
    assert not place.containers()
    assert not list(place.mounts.glob("*"))


def test_a_new_revision_takes_over_without_a_failed_request_and_lets_the_old_one_finish(place: Place) -> None:
    old = place.deploy()
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(place.get, seconds=6)
        stopping = threading.Event()

        def ask() -> list[int]:
            statuses: list[int] = []
            while not stopping.is_set():
                statuses.append(place.http.get("/").status_code)
            return statuses

        asking = pool.submit(ask)
        new = place.deploy()
        assert place.get()["revision"] == new
        assert long.result()["revision"] == old
        wait_for(lambda: len(place.containers()) == 1, "the end of the old one")
        stopping.set()
        assert set(asking.result()) == {200}


def test_requests_that_wait_for_a_place_move_to_the_new_revision(place: Place) -> None:
    old = place.deploy(**ONE_AT_A_TIME)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(place.get, seconds=8)
        revision = place.services.revisions[NAME]
        wait_for(lambda: revision.instances[0].in_flight == 1, "the first request")
        second = pool.submit(place.get)
        new = place.deploy(**ONE_AT_A_TIME)
        assert second.result()["revision"] == new
        assert first.result()["revision"] == old


def frozen(place: Place) -> bool:
    return [container.state()["Paused"] for container in place.containers()] == [True]


def test_with_cpu_idle_a_container_stands_still_between_requests(place: Place) -> None:
    place.deploy(container={"resources": [{"cpu_idle": True}]})
    wait_for(lambda: frozen(place), "a frozen container")
    assert place.get()
    with pytest.raises(httpx.ReadTimeout):
        place.http.get("/", params={"seconds": 3}, timeout=0.3)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: place.get(), range(40)))
    wait_for(lambda: frozen(place), "a frozen container")


@pytest.mark.parametrize("idle_s", [3])
def test_an_instance_is_idle_from_the_moment_it_is_ready(place: Place) -> None:
    """However long it took to start."""
    place.deploy(container={"startup_probe": [{"http_get": [{"path": "/"}], "initial_delay_seconds": 4}]})
    (instance,) = place.services.revisions[NAME].instances
    assert time.monotonic() - instance.used_at < 3
    wait_for(lambda: not place.containers(), "scale to zero")


@pytest.mark.parametrize("idle_s", [0.5])
def test_a_service_that_starts_from_zero_can_be_removed(place: Place) -> None:
    place.deploy()
    wait_for(lambda: not place.containers(), "scale to zero")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.http.get, "/")
        wait_for(lambda: place.services.revisions[NAME].starting, "a start")
        place.do(place.services.remove(NAME))
        assert not place.containers()
        assert waiting.result().status_code == 503


@pytest.mark.parametrize("cpu_idle", [False, True])
def test_a_new_process_takes_the_instances_over(place: Place, *, cpu_idle: bool) -> None:
    place.deploy(container={"resources": [{"cpu_idle": cpu_idle}]})
    wait_for(lambda: frozen(place) == cpu_idle, "the state between requests")
    (before,) = place.containers()
    with restarted(place):
        assert before.id.startswith(place.get()["instance"])
        assert [container.id for container in place.containers()] == [before.id]


def test_a_new_process_clears_what_an_interrupted_deployment_left(place: Place) -> None:
    place.deploy()
    (kept,) = place.containers()
    spec = place.services.revisions[NAME].spec.container
    place.engine.start(replace(spec, labels=dict(spec.labels) | {REVISION_LABEL: f"{place.label}/echo-00002"}))
    (place.mounts / "echo-00002").mkdir(parents=True)
    with restarted(place):
        assert [container.id for container in place.containers()] == [kept.id]
        assert not list(place.mounts.glob("*"))


def test_an_instance_that_died_or_hangs_is_not_taken_over(place: Place) -> None:
    place.deploy(scaling=[{"min_instance_count": 2}])
    dead, hung = place.containers()
    hung.signal("STOP")
    dead.signal("KILL")
    with restarted(place):
        assert not {dead.id[:12], hung.id[:12]} & {place.get()["instance"][:12]}
        wait_for(lambda: len(place.containers()) == 2, "the minimum")
