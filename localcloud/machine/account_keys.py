"""The keys that Google keeps for service accounts: signBlob signs with them, and signed links are checked by them.

https://cloud.google.com/iam/docs/service-account-creds#google-managed-keys
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path


class AccountKeys:
    """One key for each account, made when it is first asked for.

    Args:
        folder: Where they are kept (mode 0600); None keeps them as long as this object.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._keys: dict[str, RSAPrivateKey] = {}

    def sign(self, email: str, content: bytes) -> bytes:
        """Signs with an account's key, by RSASSA-PKCS1-v1_5 with SHA-256, as signBlob does."""
        return self._key(email).sign(content, PKCS1v15(), SHA256())

    def has_signed(self, email: str, content: bytes, signature: bytes) -> bool:
        """Whether a signature is that of an account."""
        try:
            self._key(email).public_key().verify(signature, content, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def _key(self, email: str) -> RSAPrivateKey:
        if email not in self._keys:
            self._keys[email] = self._kept(email)
        return self._keys[email]

    def _kept(self, email: str) -> RSAPrivateKey:
        if self._folder is None:
            return _new()
        path = self._folder / hashlib.sha256(email.encode()).hexdigest()
        if not path.exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            content = _new().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            draft = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            draft.replace(path)
        key = load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)  # noqa: S101  it was made here
        return key


def _new() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)
