"""What docs/limits.md says of MLflow's own client is what it does, and every limit names what shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from tests.pages import TEST
from tools.docs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (CHECKOUT / "docs" / "limits.md").read_text()


def test_every_limit_names_what_shows_it() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    limits = [row for row in rows if row[0] not in ("limit", "---")]
    assert len(limits) > 20
    assert [row[0] for row in limits if len(row) != 4 or not (TEST.match(row[3]) or "https://" in row[3])] == []


def test_mlflows_client_downloads_no_file_with_a_hash(tmp_path: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("hash", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    for name in ("a.txt", "a#b.txt"):
        client.log_text(run, "content", name)
    client.download_artifacts(run, "a.txt", str(tmp_path))
    with pytest.raises(MlflowException, match=re.escape("Failed to download artifacts from path 'a'")):
        client.download_artifacts(run, "a#b.txt", str(tmp_path))
