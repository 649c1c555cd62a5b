"""What a client does with the bucket itself: `use_bucket.py ARTIFACT_URI`. Prints what was permitted, as JSON."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from google.api_core.exceptions import Forbidden
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository


def permitted(call: Callable[[], object]) -> bool:
    """Whether Cloud Storage let it; any other failure ends the program."""
    try:
        call()
    except Forbidden:
        return False
    return True


def main() -> None:
    """Uploads a file, and downloads the notes of train.py."""
    store = get_artifact_repository(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "upload.txt"
        upload.write_text("uploaded\n")
        results = {
            "client's upload": permitted(lambda: store.log_artifact(str(upload))),
            "client's download": permitted(lambda: store._download_file("notes.txt", f"{folder}/notes.txt")),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
