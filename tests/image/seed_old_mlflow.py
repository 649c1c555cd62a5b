"""Fills a database as an older MLflow would have; runs with that MLflow's packages alone: URI NAME."""

import sys

import mlflow


def main() -> None:
    """Writes an experiment, a run with parameter, tag and metrics, and a registered model."""
    uri, name = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name=name):
        mlflow.log_param("depth", 3)
        mlflow.set_tag("team", "blue")
        for step in range(50):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.MlflowClient().create_registered_model(name)
    sys.stdout.write(mlflow.__version__)


if __name__ == "__main__":
    main()
