"""Everything that the image needs around it, on this machine: database, sign-in, object store; also for bench/."""

import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession, web

from containers import images
from containers.engine import Bridge, Engine
from harness.databases import Postgres
from harness.service import CLIENT_ID, CLIENT_SECRET, SECRETS_FILE, SERVICE_URL, Google, Platform, write_secret
from localcloud.machine.background import serving
from localcloud.machine.forwarding import client, forward, same_path
from localcloud.machine.identity import IdentityProvider, OAuthClient
from localcloud.machine.storage import ObjectStore


@contextmanager
def scratch_folder() -> Generator[Path]:
    """Makes a folder that a database server may enter (pytest's own is private) and whose path suits a socket."""
    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def object_store(bridge: Bridge | None) -> Generator[int]:
    """Runs the object store with the bucket `artifacts`, without a gate; yields the port where containers find it."""
    with scratch_folder() as folder:
        store = ObjectStore(folder)
        store.start()
        try:
            store.create_bucket({"name": "artifacts"})
            with serving(relay(store.origin), bridge=bridge) as port:
                yield port
        finally:
            store.stop()


def relay(origin: str) -> web.Application:
    """Hands every request on to a server that containers do not reach."""

    async def sessions(application: web.Application) -> AsyncGenerator[None]:
        async with client() as application[session]:
            yield

    async def hand_on(request: web.Request) -> web.StreamResponse:
        return await forward(request, request.app[session], same_path(request, origin))

    session = web.AppKey("session", ClientSession)
    application = web.Application()
    application.cleanup_ctx.append(sessions)
    application.router.add_route("*", "/{path:.*}", hand_on)
    return application


@contextmanager
def google(bridge: Bridge | None) -> Generator[Google]:
    """Runs the identity provider and the object store."""
    registered = OAuthClient(secret=CLIENT_SECRET, redirect_uris=frozenset({f"{SERVICE_URL}/oauth2/callback"}))
    identity = IdentityProvider(clients={CLIENT_ID: registered}.get)
    with object_store(bridge) as storage_port, serving(identity.application(), bridge=bridge) as identity_port:
        yield Google(identity=identity, identity_port=identity_port, storage_port=storage_port)


@contextmanager
def platform(engine: Engine) -> Generator[Platform]:
    """Builds the image, says which versions it holds, and runs what it needs."""
    image = images.build(engine)
    versions = engine.run("run", "--rm", "--network=none", image, "version").split("\n")
    sys.stderr.write(f"[image] {image} holds {', '.join(versions)}\n")
    with scratch_folder() as folder, google(engine.bridge) as services:
        secrets = folder / "secrets"
        secrets.mkdir()
        write_secret(secrets, SECRETS_FILE)
        postgres = Postgres(folder / "postgres")
        try:
            yield Platform(engine=engine, image=image, postgres=postgres, google=services, secrets=secrets)
        finally:
            postgres.stop()


def migrated_database(platform: Platform) -> str:
    """Returns the name of a database with today's schema, to copy from."""
    name = platform.postgres.create()
    status, log = platform.ends(platform.job(name, "db-upgrade"))
    assert status == 0, log
    return name
