"""Real servers, asked by a container of the service's kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from containers.container import Container
from containers.engine import Engine
from localcloud.machine.tiers import size_of
from localcloud.terraform.model import Refused
from tests.localcloud.machine.servers import (
    CLIENT,
    PASSWORD,
    PROJECT,
    PYTHON,
    Local,
    connection_name,
    instance,
    part,
    uri,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from localcloud.terraform.model import Object

WRONG_PASSWORD = "another"  # noqa: S105
LOG_ALL: Sequence[Object] = [{"name": "log_statement", "value": "all"}]
IAM: Object = {"name": "cloudsql.iam_authentication", "value": "on"}


@pytest.fixture(scope="module")
def local() -> Generator[Local]:
    cloud = Local(Engine())
    try:
        cloud.run(instance("main", flags=LOG_ALL))
        cloud.fill("main")
        yield cloud
    finally:
        for described in cloud.instances:
            cloud.servers.remove(described)


def test_mlflow_makes_its_tables(local: Local) -> None:
    assert local.client(uri("main"), "db-upgrade")[0] == 0
    assert local.sql("SELECT count(*) > 20 FROM information_schema.tables WHERE table_schema = 'public'") == (0, "True")


def test_what_a_server_uses_is_measured(local: Local) -> None:
    found = local.servers.measure(instance("main", flags=LOG_ALL))
    assert 0 < found.memory_mib < found.memory_limit_mib
    assert found.disk_mib > 1
    assert all(count > 0 for count in found.connections.values())


def test_creating_what_exists_changes_nothing(local: Local) -> None:
    before = local.server("main").id
    local.sql("CREATE TABLE kept (a int)")
    local.run(instance("main", flags=LOG_ALL))
    local.fill("main")
    assert local.server("main").id == before
    assert local.sql("SELECT count(*) FROM kept") == (0, "0")


def test_a_wrong_password_is_refused(local: Local) -> None:
    status, said = local.sql("SELECT 1", address=uri("main", password=WRONG_PASSWORD))
    assert (status, 'password authentication failed for user "mlflow"' in said) == (1, True)


def test_a_changed_password_replaces_the_old_one(local: Local) -> None:
    user = part("changing", "main")
    for password in ("first", "second"):
        local.servers.set_password(user, password)
    outcomes = [
        local.sql("SELECT 1", address=uri("main", user="changing", password=password))[0]
        for password in ("first", "second")
    ]
    assert outcomes == [1, 0]


@pytest.mark.parametrize("uid", ["0", "10002"])  # 10002: the server's own
def test_no_user_id_makes_a_service_superuser(local: Local, uid: str) -> None:
    address = f"postgresql+psycopg2://cloudsqladmin@/postgres?host=/cloudsql/{connection_name('main')}"
    status, said = local.client(address, "-c", CLIENT, "SELECT 1", entrypoint=PYTHON, user=uid)
    assert status == 1
    assert "no password supplied" in said


def test_a_password_is_in_no_argument_log_or_file(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[str] = []
    run = Engine.run

    def record(self: Engine, *given: str, **options: object) -> str:
        arguments.extend(given)
        return run(self, *given, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Engine, "run", record)
    local.servers.set_password(part("hidden", "main"), "jSx9-hidden-pass")
    server = local.server("main")
    places = {
        "arguments": "\n".join(arguments),
        "inspect": local.engine.run("inspect", server.id),
        "log": server.logs(),
        # grep's own pattern comes through its input.
        "files": server.execute("sh", "-c", "grep -rlF -f - /var/lib/postgresql || true", stdin="jSx9-hidden-pass"),
    }
    assert "ALTER ROLE" in places["log"]
    assert {place for place, content in places.items() if "jSx9-hidden-pass" in content} == set()
    assert places["files"] == ""


def kill(server: Container) -> None:
    server.signal("KILL")
    server.wait(30)


@pytest.mark.parametrize("end", [Container.stop, kill, Container.remove], ids=["stopped", "killed", "removed"])
def test_committed_rows_survive_a_server_that_is(local: Local, end: Callable[[Container], None]) -> None:
    local.sql("CREATE TABLE IF NOT EXISTS rows_ (a int)", "DELETE FROM rows_", "INSERT INTO rows_ VALUES (42)")
    end(local.server("main"))
    local.servers.ensure_running(instance("main", flags=LOG_ALL))
    assert local.sql("SELECT a FROM rows_") == (0, "42")


def test_a_stopped_server_says_so(local: Local) -> None:
    local.servers.stop(instance("main"))
    with pytest.raises(Refused, match="instance main is down") as refused:
        local.servers.create_database(part("late", "main"))
    assert "database system is shut down" in refused.value.problems[0].detail
    local.servers.ensure_running(instance("main", flags=LOG_ALL))


def test_another_tier_restarts_with_its_limits_and_the_flags(local: Local) -> None:
    limits = "SELECT current_setting('max_connections'), current_setting('shared_buffers'), current_setting('work_mem')"
    assert local.sql(limits) == (0, "25 153MB 4MB")
    try:
        local.run(instance("main", tier="db-custom-1-3840", flags=[{"name": "work_mem", "value": "8MB"}, IAM]))
        assert local.sql(limits) == (0, "100 960MB 8MB")
        memory = local.engine.run("inspect", "--format={{.HostConfig.Memory}}", local.server("main").id)
        assert int(memory) == 3840 * 1024 * 1024
    finally:
        local.run(instance("main", flags=LOG_ALL))


def test_a_service_sees_only_the_instance_that_it_names(local: Local) -> None:
    local.run(instance("other"))
    try:
        assert local.client("", "/cloudsql", entrypoint="/bin/ls") == (0, connection_name("main"))
        assert local.sql("SELECT 1", address=uri("other"))[0] == 1
    finally:
        local.servers.remove(instance("other"))


def test_a_service_cannot_remove_the_socket(local: Local) -> None:
    socket = f"/cloudsql/{connection_name('main')}/.s.PGSQL.5432"
    status, said = local.client("", socket, entrypoint="/bin/rm", user="0")
    assert (status, "Read-only file system" in said) == (1, True)


def test_the_server_has_no_network(local: Local) -> None:
    assert local.server("main").execute("ls", "/sys/class/net").split() == ["lo"]


def test_dropping_drops_and_may_be_repeated(local: Local) -> None:
    database, user = part("dropped", "main"), part("dropped", "main")
    local.servers.create_database(database)
    local.servers.set_password(user, PASSWORD)
    for _ in range(2):
        local.servers.drop_database(database)
        local.servers.drop_user(user)
    names = "SELECT count(*) FROM (SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles) n (name)"
    assert local.sql(f"{names} WHERE name = 'dropped'") == (0, "0")


def test_a_user_that_owns_a_table_is_not_dropped(local: Local) -> None:
    local.servers.set_password(part("owner", "main"), PASSWORD)
    local.sql("CREATE TABLE owned (a int)", address=uri("main", user="owner"))
    with pytest.raises(Refused, match='role "owner" cannot be dropped because some objects depend on it'):
        local.servers.drop_user(part("owner", "main"))


def test_a_failed_start_shows_the_log_and_the_next_one_heals_it(local: Local) -> None:
    local.servers.stop(instance("main"))
    with pytest.raises(Refused, match="ended at its start") as refused:
        local.run(instance("main", flags=[{"name": "max_conections", "value": "7"}]))
    assert 'unrecognized configuration parameter "max_conections"' in refused.value.problems[0].detail
    local.run(instance("main", flags=LOG_ALL))
    assert local.sql("SELECT 1") == (0, "1")


def test_removing_leaves_no_container_and_no_volume(local: Local) -> None:
    gone = instance("gone")
    local.run(gone)
    for _ in range(2):
        local.servers.remove(gone)
    assert local.engine.container(f"{local.label}-sql-{PROJECT}.gone") is None
    assert [name for name in local.engine.volumes(f"localcloud={local.label}") if ".gone-" in name] == []
    with pytest.raises(Refused, match="no server of Cloud SQL instance gone"):
        local.servers.mounts(connection_name("gone"))


def test_mysql_serves_mlflow_behind_the_same_promises(local: Local) -> None:
    # A flag that MySQL on Google has and Debian's server lacks does no harm.
    flags: Sequence[Object] = [
        {"name": "local_infile", "value": "off"},
        {"name": "cloudsql_iam_authentication", "value": "on"},
    ]
    described = instance("mysql", version="MYSQL_8_4", flags=flags)
    local.run(described)
    local.fill("mysql")
    assert local.client(uri("mysql"), "db-upgrade", sees="mysql")[0] == 0
    local.sql("INSERT INTO experiments (experiment_id, name) VALUES (7, 'kept')", name="mysql")
    wrong = local.sql("SELECT 1", name="mysql", address=uri("mysql", password=WRONG_PASSWORD))
    assert (wrong[0], "Access denied for user 'mlflow'" in wrong[1]) == (1, True)
    in_clear = CLIENT.replace("mysql_login.install()", "")
    alone = local.client(uri("mysql"), "-c", in_clear, "SELECT 1", entrypoint=PYTHON, sees="mysql")
    assert (alone[0], "Access denied for user 'mlflow'" in alone[1]) == (1, True)
    root = f"mysql+pymysql://root@/mysql?unix_socket=/cloudsql/{connection_name('mysql')}"
    assert local.client(root, "-c", CLIENT, "SELECT 1", entrypoint=PYTHON, user="0", sees="mysql")[0] == 1
    kill(local.server("mysql"))
    local.servers.ensure_running(described)
    local.servers.set_password(part("mlflow", "mysql"), "second")
    second = uri("mysql", password="second")  # noqa: S106
    statements = ("SELECT name FROM experiments WHERE experiment_id = 7", "SELECT @@local_infile, @@max_connections")
    assert local.sql(*statements, name="mysql", address=second) == (0, "kept\n0 250")
    local.servers.drop_user(part("mlflow", "mysql"))
    local.servers.drop_database(part("mlflow", "mysql"))
    assert local.sql("SELECT 1", name="mysql", address=second)[0] == 1


@pytest.mark.parametrize(
    ("tier", "size"),
    [
        ("db-f1-micro", (1, 614)),
        ("db-g1-small", (1, 1_740)),
        ("db-custom-2-7680", (2, 7_680)),
        ("db-perf-optimized-N-4", (4, 32_768)),
    ],
)
def test_a_tier_has_the_size_that_it_has_on_google(tier: str, size: tuple[int, int]) -> None:
    assert size_of(tier) == size


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(Refused, match=re.escape("invalid tier (db-n1-huge)")):
        size_of("db-n1-huge")
