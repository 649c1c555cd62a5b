"""Packages of an older MLflow, beside everything else."""

import subprocess
import sys
from pathlib import Path

from image.mlflow_cloudrun import absent

EXCLUDED = Path(__file__).parents[2] / "image/requirements.excluded"


def install(version: str, folder: Path, *more: str) -> None:
    """Installs an MLflow into a folder, less what the image leaves out; it imports what the image stands in for."""
    excluded = folder / "excluded.txt"
    left_out = EXCLUDED.read_text().splitlines()
    excluded.write_text("\n".join(name for name in left_out if name not in absent.PACKAGES))
    options = ["--quiet", f"--excludes={excluded}", f"--python={sys.executable}", f"--target={folder}"]
    # The releases of that time do not import with SQLAlchemy 2.1.
    packages = [f"mlflow=={version}", "psycopg2-binary==2.9.13", "sqlalchemy<2.1", *more]
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options, *packages], check=True)
