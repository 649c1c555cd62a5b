"""Answers that are given in MLflow's place, in the form that MLflow's client understands."""

import json
import random

from mlflow_cloudrun.logs import Send

# A crowd that was refused together comes back spread out.
RETRY_SECONDS = (2, 8)


async def refuse(send: Send, status: int, error_code: str, message: str, *, retry: bool = False) -> None:
    """Sends a whole answer as MLflow words its errors.

    Args:
        send: The request's ASGI channel.
        status: HTTP status. MLflow's client retries 408, 429, 500, 502, 503 and 504; OpenTelemetry's exporter for
            Python does not retry 429 (mlflow.utils.request_utils, opentelemetry.exporter.otlp.proto.http).
        error_code: One of MLflow's (mlflow.protos.databricks_pb2.ErrorCode).
        message: What is wrong and what to do.
        retry: Whether the same request may succeed later; the client waits as long as Retry-After says.
    """
    body = json.dumps({"error_code": error_code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if retry:
        headers.append((b"retry-after", str(random.randint(*RETRY_SECONDS)).encode()))  # noqa: S311
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
