"""A key that was made before, and by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from localcloud.circumstances import Circumstances
from localcloud.resource import Cloud
from localcloud.services import kms
from localcloud.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ROLE: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def make_key(home: Path, key: str, project: str, number: str = "") -> None:
    """Makes a key that every agent of a project may use.

    Args:
        home: The folder of a local cloud that no process holds.
        key: The key's full name.
        project: Of what is encrypted.
        number: Its number, if the local cloud was told.
    """
    store = Store(home)
    cloud = Cloud(store, circumstances=Circumstances(numbers={project: number} if number else {}))
    store.put(kms.CryptoKey.type, key, {"id": key})
    for service in kms.AGENTS:
        member = f"serviceAccount:{kms.agent_of(cloud, project, service)}"
        name = f"{key}/{ROLE}/{member}"
        store.put(kms.CryptoKeyMember.type, name, {"id": name, "role": ROLE, "member": member, "condition": []})
    store.close()
