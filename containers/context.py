"""The folder that an image is built from, with this machine's certificates beside it."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_CERT = "/opt/machine.crt"


@contextmanager
def with_certificates(context: Path) -> Generator[tuple[Path, dict[str, str]]]:
    """Copies a context, and adds `machine.crt` for steps that need it, if this machine has a bundle.

    Not a mount: docker's builders have none, and one over /etc/ssl would break installing Debian's own.

    Yields:
        The copy, and values of ARGs: PIP_CERT names the place where a Dockerfile that needs the certificates copies
        them to.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "context"
        shutil.copytree(context, copy)
        if not CA_BUNDLE.exists():
            yield copy, {}
            return
        shutil.copyfile(CA_BUNDLE, copy / "machine.crt")
        yield copy, {"PIP_CERT": PIP_CERT}
