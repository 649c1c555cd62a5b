"""Takes the package index out of Pipfile.lock, so that pipenv uses the one that each user has configured."""

import json
from pathlib import Path

LOCK_FILE = Path(__file__).parent.parent / "Pipfile.lock"


def main() -> None:
    """Empties `_meta.sources`; the hashes of the packages stay."""
    lock = json.loads(LOCK_FILE.read_text())
    lock["_meta"]["sources"] = []
    LOCK_FILE.write_text(json.dumps(lock, indent=4) + "\n")


if __name__ == "__main__":
    main()
