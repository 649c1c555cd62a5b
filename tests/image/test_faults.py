"""What breaks, and how the container tells: it never serves half, and it never loses what it acknowledged."""

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from containers.container import Container
from harness.databases import Postgres
from harness.load import writing
from harness.service import EDGE, MLFLOW, PROXY, START_SCRIPT, Platform, Service, write_secret
from harness.waiting import wait_for

pytestmark = pytest.mark.long

HANG_DEADLINE_S = 45  # start.sh promises 30 s, and stops those in front in at most 6 more
EX_USAGE, EX_SOFTWARE, KILLED = 64, 70, 137


@pytest.fixture(scope="module", autouse=True)
def without_database(platform: Platform) -> Generator[Container]:
    """A start whose database never comes; it gives up while the other tests run."""
    spec = replace(platform.spec(platform.postgres.uri("mlflow", sockets="/cloudsql/nowhere")), ports=())
    with platform.running(spec) as container:
        yield container


@pytest.fixture
def own(platform: Platform, database: str) -> Generator[Service]:
    """A service that the test may break."""
    with platform.service(platform.postgres.uri(database)) as running:
        yield running


def messages(log: str) -> list[str]:
    return [str(json.loads(line)["message"]) for line in log.splitlines()]


@pytest.mark.fault(
    "`kill -9` of MLflow, oauth2-proxy or HAProxy", "the container ends with 137, and the log names who died"
)
@pytest.mark.parametrize(("process", "name"), [(MLFLOW, "MLflow"), (PROXY, "oauth2-proxy"), (EDGE, "HAProxy")])
def test_a_killed_child_ends_the_container_with_its_status(own: Service, process: str, name: str) -> None:
    own.signal(process, "KILL")
    assert own.container.wait(15) == KILLED
    assert f"{name} ended with status 137; ending the container" in messages(own.container.logs())


@pytest.mark.fault("`kill -9` of start.sh", "the container ends with 137")
def test_a_killed_start_script_ends_the_container(own: Service) -> None:
    own.signal(START_SCRIPT, "KILL")
    assert own.container.wait(15) == KILLED


@pytest.mark.fault("oauth2-proxy or HAProxy leaves with status 0", "the container ends with 70")
@pytest.mark.parametrize(("process", "signal"), [(PROXY, "TERM"), (EDGE, "USR1")])
def test_a_proxy_that_leaves_in_peace_is_a_failure_too(own: Service, process: str, signal: str) -> None:
    own.signal(process, signal)
    assert own.container.wait(15) == EX_SOFTWARE


@pytest.mark.fault("MLflow hangs (`SIGSTOP`)", "the container ends with 70, MLflow unanswered for 30 s at most")
def test_a_hung_mlflow_ends_the_container_in_the_promised_time(own: Service) -> None:
    own.signal(MLFLOW, "STOP")
    assert own.container.wait(HANG_DEADLINE_S) == EX_SOFTWARE
    assert "MLflow has not answered" in own.container.logs()


@pytest.mark.fault("`TERM` under load", "status 0 within 10 s; no acknowledged write is lost, no client sees a 5xx")
def test_term_under_load_loses_no_acknowledged_write(own: Service, postgres: Postgres, database: str) -> None:
    with writing(own) as writers:
        own.container.signal("TERM")
        assert own.container.wait(10) == 0
    assert not writers.lost(postgres, database)
    assert not [status for status in writers.answers if status.startswith("5")], writers.answers


@pytest.mark.fault("`TERM` while MLflow starts", "status 0 within 10 s")
def test_term_before_the_port_opens_ends_the_start(platform: Platform) -> None:
    nowhere = replace(platform.spec(platform.postgres.uri("mlflow", sockets="/cloudsql/nowhere")), ports=())
    with platform.running(nowhere) as container:
        wait_for(lambda: "could not be created" in container.logs(), "first try")
        container.signal("TERM")
        assert container.wait(10) == 0


@pytest.mark.fault(
    "the database restarts under load", "the container lives on, answers again, and no acknowledged write is lost"
)
def test_a_database_restart_under_load_heals_and_loses_nothing(own: Service, postgres: Postgres, database: str) -> None:
    with writing(own) as writers:
        postgres.stop()
        postgres.start()
        wait_for(lambda: own.search().status_code == 200, "recovery")
        after = len(writers.acknowledged)
        wait_for(lambda: len(writers.acknowledged) > after, "writes after the restart")
    assert own.container.running
    assert not writers.lost(postgres, database)


@pytest.mark.fault("the database is away at start and comes", "the port stays shut until then; then it serves")
def test_a_database_that_comes_late_is_awaited(platform: Platform, postgres: Postgres, database: str) -> None:
    postgres.stop()
    try:
        with platform.service(platform.postgres.uri(database), wait=False) as late:
            wait_for(lambda: "SQLAlchemy engine could not be created" in late.container.logs(), "first try")
            assert not late.ready()
            postgres.start()
            late.wait_until_ready()
            assert late.search().status_code == 200
    finally:
        if not (postgres.data / "postmaster.pid").exists():
            postgres.start()


@pytest.mark.fault(
    "the secret's file is missing, malformed or incomplete", "status 64 and the reason, without the content"
)
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read the file /secrets/oauth2-proxy/oauth2-proxy.cfg: No such file or directory"),
        ("client_id = the-secret-itself", "is not TOML"),
        ('client_id = "x"', "client_secret is missing"),
    ],
)
def test_a_bad_secret_file_ends_the_start_with_a_reason(
    platform: Platform, tmp_path: Path, content: str | None, problem: str
) -> None:
    write_secret(tmp_path, content)
    status, log = platform.ends(replace(platform, secrets=tmp_path).spec(platform.postgres.uri("mlflow")))
    assert status == EX_USAGE
    assert problem in log
    assert "the-secret-itself" not in log


@pytest.mark.fault("`/tmp` is full at start", "status 64 and the reason")
def test_a_full_tmp_at_start_is_named(platform: Platform, database: str) -> None:
    spec = platform.spec(platform.postgres.uri(database))
    filled = replace(
        spec, entrypoint="/bin/bash", command=["-c", "head -c 64M /dev/zero >/tmp/fill; exec /opt/image/start.sh"]
    )
    status, log = platform.ends(filled)
    assert status == EX_USAGE
    assert "cannot write /tmp/oauth2-proxy: No space left on device" in log


@pytest.mark.fault("`/tmp` fills up later", "reads and writes go on")
def test_a_tmp_that_fills_up_later_does_not_stop_the_service(own: Service) -> None:
    own.container.execute("bash", "-c", "head -c 64M /dev/zero >/tmp/fill || true")
    with writing(own):
        assert own.search().status_code == 200


@pytest.mark.fault("the database never comes", "status 1 after MLflow's 10 tries, made twice, about 214 s")
def test_a_database_that_never_comes_ends_the_start(without_database: Container) -> None:
    assert without_database.wait(300) == 1
    assert "could not be created" in without_database.logs()
