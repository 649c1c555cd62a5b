"""Google's metadata server on this machine, and a gate before the bucket that notes who asks for objects."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from containers.engine import HOST
from harness.service import Platform, Service
from localcloud.machine.background import serving

FLAVOR = {"Metadata-Flavor": "Google"}  # https://cloud.google.com/compute/docs/metadata/querying-metadata
TOKEN = "ya29.tests-only"  # noqa: S105
ACCOUNT = "/computeMetadata/v1/instance/service-accounts/{account}"


@dataclass
class Cloud:
    """A metadata server, and the way to the bucket on which credentials are looked at.

    Attributes:
        credentials: The Authorization header of each call to the bucket.
        asked: The path of each call to the metadata server.
    """

    storage: str
    credentials: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    def metadata(self) -> web.Application:
        """Returns the metadata server of an instance."""
        answers: dict[str, object] = {
            "/": "computeMetadata/",
            "/computeMetadata/v1/project/project-id": "demo-project",
            f"{ACCOUNT}/": {"email": "mlflow-server@demo-project.iam.gserviceaccount.com", "scopes": []},
            f"{ACCOUNT}/token": {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"},
        }

        async def answer(request: web.Request) -> web.Response:
            assert request.match_info.route.resource
            self.asked.append(request.path)
            content = answers[request.match_info.route.resource.canonical]
            if isinstance(content, str):
                return web.Response(text=content, headers=FLAVOR)
            return web.json_response(content, headers=FLAVOR)

        application = web.Application()
        application.add_routes([web.get(path, answer) for path in answers])
        return application

    def gate(self) -> web.Application:
        """Returns what stands before the bucket: it notes the credentials and passes the request on."""

        async def pass_on(request: web.Request) -> web.Response:
            self.credentials.append(request.headers.get("Authorization", ""))
            async with ClientSession(self.storage) as session, session.get(request.rel_url) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

        application = web.Application()
        application.router.add_get("/{path:.*}", pass_on)
        return application


@contextmanager
def with_metadata(platform: Platform, database: str, cloud: Cloud) -> Generator[Service]:
    """Runs the service where Google's own endpoints are named by the variables that its libraries know."""
    # https://googleapis.dev/python/google-auth/latest/reference/google.auth.environment_vars.html
    bridge = platform.engine.bridge
    with serving(cloud.metadata(), bridge=bridge) as metadata_port, serving(cloud.gate(), bridge=bridge) as gate_port:
        variables = {
            "STORAGE_EMULATOR_HOST": "",  # would mean that nobody asks for credentials
            "GCE_METADATA_HOST": f"{HOST}:{metadata_port}",
            "GCE_METADATA_IP": f"{HOST}:{metadata_port}",
            "API_ENDPOINT_OVERRIDE": f"http://{HOST}:{gate_port}",
        }
        with platform.service(platform.postgres.uri(database), **variables) as service:
            yield service
