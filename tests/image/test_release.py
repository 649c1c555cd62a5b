"""What `make release` writes about the image."""

import json
from pathlib import Path

from containers.engine import Engine
from containers.images import mlflow_version
from tests.test_release import checkout
from tools import release

__all__ = ["checkout"]


def test_a_release_holds_the_images_own_list_of_what_is_inside(
    engine: Engine, image: str, checkout: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dist"
    release.make(engine, image, checkout, "1.2.0", folder)
    assert {path.name for path in folder.iterdir()} == {
        release.NOTES,
        release.SUMS,
        release.SBOM,
        "mlflow-google-cloud-module-1.2.0.tar.gz",
        "mlflow_google-1.2.0-py3-none-any.whl",
        "mlflow_google-1.2.0.tar.gz",
    }
    purls = {component["purl"] for component in json.loads((folder / release.SBOM).read_text())["components"]}
    assert f"pkg:pypi/mlflow@{mlflow_version()}" in purls
