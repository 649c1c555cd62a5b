"""Fills a store as an older MLflow would have; runs with that MLflow's packages alone: URI ARTIFACTS."""

import sys

import mlflow


def main() -> None:
    """Writes two experiments with runs, of which one is deleted, their files, and versions of a registered model."""
    uri, artifacts = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    client = mlflow.tracking.MlflowClient()
    names = ["first", "zweites Experiment ü"]
    experiments = [
        client.create_experiment(name, artifacts and f"{artifacts}/{place}") for place, name in enumerate(names)
    ]
    runs = []
    for experiment in experiments:
        for number in range(3):
            with mlflow.start_run(experiment_id=experiment, run_name=f"run {number}") as run:
                mlflow.log_param("depth", number)
                mlflow.log_param("note", "ü" * 200)
                mlflow.set_tag("team", "blue")
                for step in range(20):
                    mlflow.log_metric("loss", 1 / (step + 1), step=step)
                mlflow.log_metric("odd", float("nan"))
                mlflow.log_metric("large", float("inf"))
                mlflow.log_dict({"number": number}, "folder ü/data.json")
            runs.append(run.info)
    client.delete_run(runs[-1].run_id)
    try:
        client.create_registered_model("model")
        for run in runs[:2]:
            client.create_model_version("model", f"{run.artifact_uri}/folder ü", run.run_id)
    except mlflow.exceptions.MlflowException as error:  # folders have had no registry for long
        sys.stderr.write(str(error))
    sys.stdout.write(mlflow.__version__)


if __name__ == "__main__":
    main()
