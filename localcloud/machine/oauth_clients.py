"""OAuth clients, which on Google Cloud are made by hand in the console: ids, secrets, and redirect URIs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from localcloud.machine.identity import OAuthClient
from localcloud.terraform.model import strings

if TYPE_CHECKING:
    from collections.abc import Collection

    from localcloud.store import Store

_TYPE = "machine.oauth_client"


class OAuthClients:
    """The clients of one local cloud; their secrets are kept with the other secrets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, client_id: str) -> OAuthClient | None:
        """Returns a client, None if there is none of this id."""
        secret = self._store.secret(_name(client_id))
        known = self._store.get(_TYPE, client_id) or {}
        return OAuthClient(secret=secret, redirect_uris=frozenset(strings(known, "redirect_uris"))) if secret else None

    def make(self, client_id: str, *, redirect_uris: Collection[str] = (), new_secret: bool = False) -> str:
        """Makes a client unless there is one, and returns its secret.

        Args:
            client_id: The client.
            redirect_uris: More addresses to which it may send people back with a code.
            new_secret: Give it another secret; the one before is then refused.
        """
        client = self.get(client_id)
        known = client.redirect_uris if client else frozenset[str]()
        self._store.put(_TYPE, client_id, {"redirect_uris": [*sorted(known.union(redirect_uris))]})
        if client and not new_secret:
            return client.secret
        secret = f"GOCSPX-{secrets.token_urlsafe(21)}"
        self._store.put_secret(_name(client_id), secret)
        return secret


def _name(client_id: str) -> str:
    return f"oauth-client {client_id}"
