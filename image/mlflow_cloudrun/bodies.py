"""Keeps refusals whole: MLflow's checks of Host and Origin answer before the request's body has come.

oauth2-proxy then stops sending the body and with it gives up the connection that the answer is coming on ("ReverseProxy
read error during body copy"), so that the client gets half an answer instead of 403. By default Go's server does not
read a body while it answers: https://pkg.go.dev/net/http#ResponseController.EnableFullDuplex
"""

from mlflow_cloudrun.logs import App, Message, Receive, Send


class WholeRequests:
    """ASGI middleware: lets an answer begin when the request has been read to its end; what nobody reads is dropped."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes everything on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ended = False

        async def read() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            while not ended:
                await read()
            await send(message)

        await self.app(scope, read, answer)
