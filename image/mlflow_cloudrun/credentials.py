"""Keeps what proves who somebody is from MLflow: the gate has checked it, and nothing behind it needs it."""

from mlflow_cloudrun.logs import App, Message, Receive, Send

# X-Mlflow-Authorization is MLflow's own, for users that it does not have here.
NAMES = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-mlflow-authorization"})
# Google's front end and oauth2-proxy hand on tokens and identities in these, or a client does in their place.
PREFIXES = (b"x-goog-", b"x-serverless-", b"x-auth-request-", b"x-forwarded-access-token")


class WithoutCredentials:
    """ASGI middleware: takes credentials out of a request's headers."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes everything else on."""
        if scope["type"] != "lifespan":
            headers = [pair for pair in scope["headers"] if pair[0] not in NAMES and not pair[0].startswith(PREFIXES)]
            scope = {**scope, "headers": headers}
        await self.app(scope, receive, send)
