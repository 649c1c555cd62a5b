"""Puts the token on a request, and repeats a request once whose token the gate refused."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import requests
from requests.auth import AuthBase

from mlflow_google import hosts
from mlflow_google.errors import CredentialError, RefusedError
from mlflow_google.refusal import was_refused, why_refused
from mlflow_google.tokens import Tokens

# How often a request is repeated because its token ended on the way, as while the client itself repeats it for minutes.
ENDED_ON_THE_WAY = 8
logger = logging.getLogger("mlflow_google")


class GoogleAuth(AuthBase):
    """Signs the requests of one process to the tracking server.

    Args:
        tokens: Where tokens come from.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._told: dict[str, object] = {}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Puts the token on the request, if it goes to the tracking server.

        Raises:
            CredentialError: There is none.
        """
        url = request.url or ""
        if not hosts.may_have_token(url):
            self._tell_once(f"no token is sent to {hosts.origin(url) or url}: it is not MLFLOW_TRACKING_URI over https")
            return request
        if os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self._tell_once("MLFLOW_TRACKING_TOKEN is ignored, because MLFLOW_TRACKING_AUTH=google; unset one of them")
        token = self._tokens.get(hosts.audience(url))
        request.headers["Authorization"] = f"Bearer {token.text}"
        start = start_of(request.body)

        def repeat(answer: requests.Response, **options: object) -> requests.Response:
            return self._repeat(answer, token.text, start, options)

        request.register_hook("response", repeat)
        return request

    def address(self) -> str:
        """Returns whose tokens the tracking server gets; empty where it gets none, or none can be had."""
        server = hosts.origin(hosts.tracking_uri())
        if not hosts.may_have_token(server):
            return ""
        try:
            return self._tokens.get(hosts.audience(server)).email
        except CredentialError:
            return ""  # the request that comes next says why

    def _repeat(
        self, answer: requests.Response, sent: str, start: int | None, options: dict[str, Any]
    ) -> requests.Response:
        if not was_refused(answer) or answer.request.headers.get("Authorization") != f"Bearer {sent}":
            return answer
        audience = hosts.audience(answer.request.url or "")
        token = self._tokens.get(audience, instead_of=sent)
        if start is None:
            return answer  # its body was read and is gone; the next request has the new token
        for _ in range(ENDED_ON_THE_WAY):
            answer = self._send_again(answer, token.text, start, options)
            if not was_refused(answer):
                return answer
            if token.expires > time.time():
                break
            token = self._tokens.get(audience, instead_of=token.text)
        raise RefusedError(why_refused(answer, token))

    def _send_again(
        self, answer: requests.Response, token: str, start: int, options: dict[str, Any]
    ) -> requests.Response:
        answer.content  # noqa: B018  read to its end, the connection can be used again
        answer.close()
        repeated = answer.request.copy()
        body: Any = repeated.body
        if hasattr(body, "seek"):
            body.seek(start)
        repeated.headers["Authorization"] = f"Bearer {token}"
        second = answer.connection.send(repeated, **options)
        second.history.append(answer)
        second.request, second.connection = repeated, answer.connection
        return second

    def _tell_once(self, text: str) -> None:
        mine = object()
        if self._told.setdefault(text, mine) is mine:  # in one step, thus no lock that a fork could leave locked
            logger.warning(text)


def start_of(body: object) -> int | None:
    """Returns where a body starts; None where it cannot be sent twice."""
    if body is None or isinstance(body, (bytes, bytearray, str)):
        return 0
    try:
        return int(body.tell())  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None


AUTH = GoogleAuth(Tokens())


def session() -> requests.Session:
    """Returns a session whose requests carry the token, for OpenTelemetry's exporter."""
    made = requests.Session()
    made.auth = AUTH
    return made
