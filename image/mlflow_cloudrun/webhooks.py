"""Webhooks: none is called without a key for their secrets; with one, a receiver gets little time and memory.

MLflow looks at the address of each connection itself, and makes none to a private one (mlflow/webhooks/ssrf.py). What
it leaves open is closed here: redirects, answers of any length or slowness, and secrets of another key.
"""

import logging
import time
from typing import Any

import requests
from cryptography.fernet import InvalidToken
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.model_registry.dbmodels.models import EncryptedString
from mlflow.webhooks import delivery

from mlflow_cloudrun.features import is_on
from mlflow_cloudrun.settings import WEBHOOKS

LONGEST_ANSWER = 16 * 1024  # bytes; the page shows it after a test
LONGEST_ANSWER_S = 10
logger = logging.getLogger(__name__)


class LostSecret(str):
    """A webhook's secret that this deployment's key does not open."""

    __slots__ = ()


def bounded(session: requests.Session) -> requests.Session:
    """Makes a session follow no redirect and read the beginning of an answer."""
    ask = session.request

    def request(*arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401  as requests has it
        answer = ask(*arguments, **(options | {"allow_redirects": False, "stream": True}))
        end = time.monotonic() + LONGEST_ANSWER_S
        content = b""
        # As it comes: unpacked, some bytes could become any number.
        for piece in answer.raw.stream(1024, decode_content=False):
            content += piece
            if len(content) > LONGEST_ANSWER or time.monotonic() > end:
                break
        answer.close()
        answer._content = content[:LONGEST_ANSWER]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return answer

    session.request = request
    return session


def bounded_session() -> requests.Session:
    """Stands in for MLflow's maker of sessions."""
    return bounded(original_session())


def decrypt(column: EncryptedString, value: str | None, _: object) -> str | None:
    """Stands in for MLflow's decryption, which answers every list of webhooks with 500 when one secret is lost."""
    if value is None:
        return None
    try:
        return column.cipher.decrypt(value.encode()).decode()
    except InvalidToken:
        return LostSecret()


def send(webhook: Any, payload: Any, event: Any, session: requests.Session) -> requests.Response:  # noqa: ANN401
    """Stands in for MLflow's call; a receiver that wants a signature gets none without.

    Raises:
        MlflowException: The secret is lost.
    """
    if isinstance(webhook.secret, LostSecret):
        raise MlflowException(
            "The secret of this webhook was stored under another key. Give it a new one, or delete it.",
            INVALID_PARAMETER_VALUE,
        )
    return original_send(webhook, payload, event, session)


def deliver_nothing(**_: object) -> None:
    """Stands in for MLflow's delivery where they are off; routes.toml says why."""


original_session: Any = delivery._create_webhook_session  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
original_send: Any = delivery._send_webhook_request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def install() -> None:
    """Bounds what MLflow does for webhooks, or has it do nothing."""
    changed: Any = delivery
    column: Any = EncryptedString
    column.process_result_value = decrypt
    if is_on(WEBHOOKS):
        changed._create_webhook_session = bounded_session  # noqa: SLF001
        changed._send_webhook_request = send  # noqa: SLF001
    else:
        changed._deliver_webhook_impl = deliver_nothing  # noqa: SLF001
