"""Accounts log in to real servers with access tokens, and with nothing else; the image does so by itself."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from containers.engine import HOST, Engine
from image.mlflow_cloudrun import tls
from localcloud.machine.background import serving
from localcloud.machine.identity import IdentityProvider
from localcloud.machine.logins import Logins
from localcloud.machine.metadata import Metadata, only, variables
from localcloud.resource import Cloud
from localcloud.services import iam, sql_logins
from localcloud.services.sql import Instance
from localcloud.services.sql_parts import User
from localcloud.store import Store
from localcloud.terraform.model import Object, at, text
from tests.localcloud.machine.servers import CLIENT, PROJECT, PYTHON, Local, instance, part, uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER, JOB = (f"mlflow-{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("server", "gc"))
VERSIONS: Final = {"postgresql": "POSTGRES_17", "mysql": "MYSQL_8_4"}
FLAGS: Final = {"postgresql": "cloudsql.iam_authentication", "mysql": "cloudsql_iam_authentication"}
RECONNECTS: Final = 200
PERMISSIONS: Final = json.dumps({"default": "READ", "admins": ["ada@example.com"], "readers": [], "teams": {}})
# Tries each user and password; "in", or what was said.
TRY = """
import json, os, sqlalchemy
from mlflow_cloudrun import mysql_login
mysql_login.install()
found = []
for user, password in json.loads(os.environ["TRIED"]):
    url = sqlalchemy.make_url(os.environ["BACKEND_STORE_URI"]).set(username=user, password=password)
    try:
        with sqlalchemy.create_engine(url).connect() as connection:
            found.append("in" if connection.scalar(sqlalchemy.text("SELECT 1")) else "?")
    except (sqlalchemy.exc.DBAPIError, ValueError) as error:  # a token is longer than PyMySQL encrypts
        found.append(str(error))
print(json.dumps(found))
"""
# What the image does before it connects.
TRUST = """
import os, pathlib
from mlflow_cloudrun import reach, settings, tls
settings.write_authority(os.environ, pathlib.Path(tls.FILE))
reach.reach(os.environ["BACKEND_STORE_URI"])
"""
# What the image does, one connection after the other; the statements come last.
USE = """
import os, sqlalchemy, sys
from mlflow_cloudrun import login, mysql_login
mysql_login.install()
login.install()
engine = sqlalchemy.create_engine(os.environ["BACKEND_STORE_URI"], poolclass=sqlalchemy.NullPool)
try:
    for _ in range(int(sys.argv[1])):
        engine.connect().close()
    with engine.begin() as connection:
        for statement in sys.argv[2:]:
            result = connection.execute(sqlalchemy.text(statement))
            print(*(result.first() if result.returns_rows else ()))
except sqlalchemy.exc.DBAPIError as error:
    sys.exit(str(error.orig))
"""


ADDRESS: Final = "10.27.0.3"
PORTS: Final = {"postgresql": 5432, "mysql": 3306}
IN_CLEAR: Final = {"postgresql": "sslmode=disable", "mysql": "ssl_disabled=true"}
REFUSED: Final = {"postgresql": "no encryption", "mysql": "insecure transport are prohibited"}


class Place:
    """An instance that takes tokens, on its socket and in a network, and two accounts in a cloud."""

    def __init__(self, folder: Path, kind: str, stack: ExitStack) -> None:
        self.kind, self.mysql = kind, kind == "mysql"
        self.cloud = Cloud(Store(folder / "home"), project=PROJECT)
        stack.callback(self.cloud.store.close)
        self.identity = IdentityProvider(clients={}.get)
        self.tokens: list[str] = []
        logins = Logins(self.cloud, self.identity, folder / "logins")
        served = Metadata(self.identity, whose=only(SERVER), project=PROJECT, number="1", region="here").application()
        served.on_startup.append(lambda _: logins.open())
        served.on_cleanup.append(lambda _: logins.close())
        served.on_response_prepare.append(self._note)
        engine = Engine()
        self.metadata = stack.enter_context(serving(served, bridge=engine.bridge))
        self.local = Local(engine, folder / "logins")
        described = instance(kind, version=VERSIONS[kind], flags=[{"name": FLAGS[kind], "value": "on"}])
        network = {"private_network": "projects/p/global/networks/ml", "ssl_mode": "ENCRYPTED_ONLY"}
        self.described: Object = {**described, "region": "europe-west1", "private_ip_address": ADDRESS}
        settings = at(self.described, "settings", 0)
        assert isinstance(settings, dict)
        settings["ip_configuration"] = [network]
        self.cloud.store.put(Instance.type, Instance().key(self.described), self.described)
        stack.callback(self.local.servers.remove, self.described)
        self.local.run(self.described)
        self.local.fill(kind)
        for email in (SERVER, JOB):
            self.account(email)

    async def _note(self, request: Any, response: Any) -> None:
        if request.path.endswith("/token"):
            self.tokens.append(json.loads(response.text)["access_token"])

    def account(self, email: str) -> None:
        """Makes an account, its user, and its grant."""
        name = f"projects/{PROJECT}/serviceAccounts/{email}"
        self.cloud.store.put(iam.ServiceAccount.type, name, {"email": email})
        shown = email if self.mysql else email.removesuffix(".gserviceaccount.com")
        user: Object = {**part(shown, self.kind), "type": sql_logins.ACCOUNT}
        self.cloud.store.put(User.type, User().key(user), user)
        named = sql_logins.in_database(self.cloud, user)
        self.local.servers.create_account(named, sql_logins.server_password(self.cloud, text(named, "name")))
        self.grant(email)

    def grant(self, email: str) -> None:
        member, role = f"serviceAccount:{email}", "roles/cloudsql.instanceUser"
        binding: Object = {"id": f"{PROJECT}/{role}/{member}", "project": PROJECT, "role": role, "member": member}
        self.cloud.store.put(iam.ProjectMember.type, f"{PROJECT}/{role}/{member}", binding)

    def revoke(self, email: str) -> None:
        key = f"{PROJECT}/roles/cloudsql.instanceUser/serviceAccount:{email}"
        self.cloud.store.remove(iam.ProjectMember.type, key)

    def name(self, email: str) -> str:
        return email.partition("@")[0] if self.mysql else email.removesuffix(".gserviceaccount.com")

    def tried(self, *pairs: tuple[str, str]) -> list[str]:
        status, said = self.local.client(
            uri(self.kind), "-c", TRY, entrypoint=PYTHON, sees=self.kind, more={"TRIED": json.dumps(pairs)}
        )
        assert status == 0, said
        return json.loads(said)

    def as_account(self, *command: str, entrypoint: str = PYTHON) -> tuple[int, str]:
        """Runs a command of the image that logs in as the server's account."""
        bare = uri(self.kind).replace(uri(self.kind).partition("//")[2].partition("/")[0], "", 1)
        more = {"DATABASE_LOGIN": "iam", "PERMISSIONS": PERMISSIONS, **variables(f"{HOST}:{self.metadata}")}
        return self.local.client(bare, *command, entrypoint=entrypoint, sees=self.kind, more=more)

    def in_network(self, *command: str, user: str = "", query: str = "") -> tuple[int, str]:
        """Runs a program that reaches the server by its address alone; without a user as the server's account."""
        scheme, trusted = next(each for each in tls.QUERIES.items() if each[0].startswith(self.kind))
        address = f"{scheme}://{user}{ADDRESS}:{PORTS[self.kind]}/mlflow?{query or trusted}"
        more = {
            "DATABASE_CA": self.local.identity(self.described).authority,
            **({} if user else {"DATABASE_LOGIN": "iam"}),
            **variables(f"{HOST}:{self.metadata}"),
        }
        helpers = [self.local.servers.way(self.described)]
        return self.local.client(address, *command, entrypoint=PYTHON, sees="", more=more, helpers=helpers)


@pytest.fixture(scope="module", params=VERSIONS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path_factory.mktemp("logins"), request.param, stack)


def refused(place: Place, email: str) -> str:
    if place.mysql:
        return f"Access denied for user '{place.name(email)}'@"
    return f'Cloud SQL IAM service account authentication failed for user "{place.name(email)}"'


def test_a_token_opens_what_its_account_may_open_and_nothing_else_does(place: Place) -> None:
    fresh = place.identity
    stale = IdentityProvider(clients={}.get, key=fresh.key, lifetime_s=-60)
    bad = {
        "expired": stale.access_token(SERVER),
        "of another issuer": IdentityProvider(clients={}.get).access_token(SERVER),
        "for files": fresh.access_token(SERVER, "https://www.googleapis.com/auth/devstorage.full_control"),
        "an identity token": fresh.token(audience="https://mlflow.example.com", email=SERVER),
        "of another account": fresh.access_token(JOB),
        "of a person": fresh.access_token("ada@example.com"),
        "cut off": fresh.access_token(SERVER)[:-2],
        "empty": "",
        "what the server wants": sql_logins.server_password(place.cloud, place.name(SERVER)),
    }
    good = [fresh.access_token(SERVER, sql_logins.SCOPE), fresh.access_token(SERVER)]
    answers = place.tried(*((place.name(SERVER), token) for token in (*bad.values(), *good)))
    let_in = {why for why, said in zip(bad, answers, strict=False) if said == "in"}
    assert let_in == set()
    # libpq asks for a password of its own accord only where it has one, and says so.
    assert all(refused(place, SERVER) in said for said in answers[: len(bad)] if "no password supplied" not in said)
    # A new account may log in, and do nothing: PostgreSQL lets it into the database, MySQL does not.
    expected = "Access denied for user" if place.mysql else "in"
    assert all(expected in said and "to database" in f"{said} to database" for said in answers[len(bad) :])


def test_a_token_is_no_password_of_a_user_that_has_one(place: Place) -> None:
    said = place.tried(("mlflow", place.identity.access_token(SERVER)), ("nobody", "x"))
    assert "in" not in said


def test_before_the_tables_are_shared_an_account_is_told_what_to_do(place: Place) -> None:
    status, said = place.as_account("-c", USE, "1")
    assert status == 1
    assert "deploy once with the login by both" in said
    assert SERVER in said


@pytest.fixture(scope="module")
def shared(place: Place) -> Place:
    """Both schemas, made by the user with the password and shared by it, twice."""
    accounts = {"DATABASE_LOGIN": "both", "DATABASE_ACCOUNTS": f"{SERVER},{JOB}", "PERMISSIONS": PERMISSIONS}
    run = partial(place.local.client, uri(place.kind), "db-upgrade", sees=place.kind)
    assert run()[0] == 0  # a deployment that exists
    for _ in range(2):
        status, said = run(more=accounts)
        assert status == 0, said
    return place


def test_a_token_for_each_of_many_connections(shared: Place) -> None:
    before, shared.identity.lifetime_s = len(shared.tokens), 5
    try:
        status, said = shared.as_account("-c", USE, str(RECONNECTS), "SELECT count(*) FROM experiments")
    finally:
        shared.identity.lifetime_s = 3600
    assert (status, said) == (0, "0")
    assert len(set(shared.tokens[before:])) > 1
    assert len(shared.tokens) - before == RECONNECTS + 1


def test_tables_are_everybodys_there_and_back(shared: Place) -> None:
    assert shared.as_account("db-upgrade", entrypoint="")[0] == 0
    assert shared.as_account("-c", USE, "0", "DELETE FROM users", "SELECT count(*) FROM users") == (0, "0")
    change = ("ALTER TABLE experiments ADD COLUMN {0} INT", "CREATE TABLE {0} (id INT)", "INSERT INTO {0} VALUES (7)")
    made = shared.as_account("-c", USE, "0", *(statement.format("by_account") for statement in change))
    assert made == (0, "")
    back = [statement.format("by_password") for statement in change]
    ends = ("ALTER TABLE by_account ADD COLUMN more INT", "SELECT id FROM by_account")
    assert shared.local.sql(*back, *ends, name=shared.kind) == (0, "7")
    away = (f"DROP TABLE {name}" for name in ("by_account", "by_password"))
    again = (f"ALTER TABLE experiments DROP COLUMN {name}" for name in ("by_account", "by_password"))
    assert shared.as_account("-c", USE, "0", "SELECT id FROM by_password", *away, *again) == (0, "7")


def test_a_revoked_role_shuts_out_new_connections_at_once(shared: Place) -> None:
    shared.revoke(SERVER)
    try:
        status, said = shared.as_account("-c", USE, "1")
    finally:
        shared.grant(SERVER)
    assert status == 1
    assert refused(shared, SERVER) in said
    assert shared.as_account("-c", USE, "1")[0] == 0


def test_in_a_network_a_token_is_checked_as_well_and_only_under_tls(shared: Place) -> None:
    use = f"{TRUST}\n{USE}"
    assert shared.in_network("-c", use, "1", "SELECT count(*) FROM experiments") == (0, "0")
    login = uri(shared.kind).partition("//")[2].partition("/")[0]
    assert shared.in_network("-c", f"{TRUST}\n{CLIENT}", "SELECT 1", user=login) == (0, "1")
    status, said = shared.in_network("-c", use, "1", query=IN_CLEAR[shared.kind])
    assert (status, REFUSED[shared.kind] in said) == (1, True), said
    shared.revoke(SERVER)
    try:
        status, said = shared.in_network("-c", use, "1")
    finally:
        shared.grant(SERVER)
    assert (status, refused(shared, SERVER) in said) == (1, True), said


def test_a_server_that_was_killed_takes_tokens_again(shared: Place) -> None:
    shared.local.server(shared.kind).signal("KILL")
    shared.local.servers.ensure_running(shared.described)
    assert shared.as_account("-c", USE, "1", "SELECT count(*) FROM experiments") == (0, "0")
