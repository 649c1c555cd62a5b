"""OAuth clients, which on Google Cloud are made by hand in the console: their ids and secrets."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.store import Store


class OAuthClients:
    """The secret of each client, kept with the other secrets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, client_id: str) -> str | None:
        """The secret of a client, None if there is no such client."""
        return self._store.secret(_name(client_id))

    def make(self, client_id: str, *, anew: bool) -> str:
        """Makes a client unless there is one, and returns its secret.

        Args:
            client_id: The client.
            anew: Give it another secret; the one before is then refused.
        """
        secret = None if anew else self.get(client_id)
        if secret is None:
            secret = f"GOCSPX-{secrets.token_urlsafe(21)}"
            self._store.put_secret(_name(client_id), secret)
        return secret


def _name(client_id: str) -> str:
    return f"oauth-client {client_id}"
