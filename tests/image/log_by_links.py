"""Logs files, a model and a folder, and reads them again: `FOLDER MIB`. Prints what it found as JSON."""

import hashlib
import json
import logging
import os
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient

MIB = 1024 * 1024


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(folder: Path, size: int) -> dict[str, object]:
    """Logs and reads."""
    client, source, target = MlflowClient(), folder / "source", folder / "target"
    (source / "deep").mkdir(parents=True)
    target.mkdir()
    with (folder / "large.bin").open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(MIB))
    (source / "empty.txt").touch()
    (source / "deep" / "a#b %20 \u00e4.txt").write_text("odd")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(folder / "large.bin"))
        mlflow.log_artifacts(str(source), "folder")
        mlflow.log_text("first", "again.txt")
        mlflow.log_text("second", "again.txt")
        mlflow.log_dict({"a": 1}, "folder/a.json")
    id_ = run.info.run_id
    large = Path(mlflow.artifacts.download_artifacts(run_id=id_, artifact_path="large.bin", dst_path=str(target)))
    mlflow.artifacts.download_artifacts(run_id=id_, artifact_path="folder", dst_path=str(target))
    found: dict[str, object] = {
        "run": id_,
        "same": digest(large) == digest(folder / "large.bin"),
        "again": mlflow.artifacts.load_text(f"{run.info.artifact_uri}/again.txt"),
        "listed": [(file.path, file.is_dir, file.file_size) for file in client.list_artifacts(id_)],
        "folder": sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()),
        "odd": (target / "folder" / "deep" / "a#b %20 \u00e4.txt").read_text(),
    }
    if hasattr(client, "create_logged_model"):
        model = client.create_logged_model(experiment_id="0", name="m")
        client.log_model_artifact(model.model_id, str(folder / "large.bin"))
        client.log_model_artifacts(model.model_id, str(source))
        client.finalize_logged_model(model.model_id, "READY")
        mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=str(folder / "model"))
        found |= {
            "model": model.model_id,
            "model_same": digest(folder / "model" / "large.bin") == digest(folder / "large.bin"),
            "model_listed": sorted(file.path for file in client.list_logged_model_artifacts(model.model_id)),
        }
    return found


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    (Path(sys.argv[1]) / "model").mkdir()
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
