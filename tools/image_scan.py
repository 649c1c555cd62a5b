"""Scans the image of this checkout for known vulnerabilities: `make image-scan`.

grype reads the layers, so that it sees Debian's packages, Python's, and the Go modules inside oauth2-proxy. What is
high or critical and has a fix fails: the remedy is a newer pin. grype is compiled from its Go module, since no package
of Python or Node.js has it; its makers' database of vulnerabilities is fetched at each run.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from containers.engine import Engine, EngineError
from containers.images import build

GRYPE: Final = "github.com/anchore/grype/cmd/grype@v0.121.2"


def main() -> int:
    """Prints what grype finds; returns its exit status, or 69 when something that is needed is missing."""
    try:
        engine = Engine()
        reference = build(engine)
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "image.tar"
            engine.run("save", f"--output={archive}", reference)
            command = ["go", "run", GRYPE, f"docker-archive:{archive}", "--only-fixed", "--fail-on=high"]
            return subprocess.run(command, check=False).returncode  # noqa: S603 (a fixed program, and no shell)
    except FileNotFoundError:
        print("go >= 1.24 is missing: https://go.dev/doc/install   (apt-get install golang-go)", file=sys.stderr)
    except EngineError as error:
        print(error, file=sys.stderr)
    return 69


if __name__ == "__main__":
    sys.exit(main())
