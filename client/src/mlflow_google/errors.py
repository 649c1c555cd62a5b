"""What can be wrong, and what to do about it."""

from __future__ import annotations


class CredentialError(Exception):
    """No token can be had; the message says why and what to do."""


class RefusedError(Exception):
    """The service refused a token; the message says whose, for whom, and what to do."""
