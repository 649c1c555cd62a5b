"""A training session with MLflow's client: all that a team does in a day. The environment says where the server is."""

import tempfile
from pathlib import Path

import mlflow
from mlflow.entities import Metric, Param, RunTag

METRICS, BATCH = 1000, 500


def log_a_run(client: mlflow.MlflowClient) -> str:
    """Logs parameters, tags and 1,000 metrics in batches; reads them back."""
    experiment = mlflow.set_experiment("everything")
    with mlflow.start_run(run_name="training") as run:
        for start in range(0, METRICS, BATCH):
            metrics = [
                Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(start, start + BATCH)
            ]
            client.log_batch(run.info.run_id, metrics, [Param(f"p{start}", "v")], [RunTag(f"t{start}", "v")])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [metric.value for metric in history] == [1 / (step + 1) for step in range(METRICS)]
    found = client.search_runs([experiment.experiment_id], "metrics.loss < 0.5 and params.p0 = 'v'")
    assert [item.info.run_id for item in found] == [run.info.run_id]
    return run.info.run_id


def keep_artifacts(client: mlflow.MlflowClient, run_id: str) -> str:
    """Uploads a file to the bucket itself, lists and downloads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(b"weights" * 1000)
        client.log_artifact(run_id, str(path), "model")
        assert [item.path for item in client.list_artifacts(run_id, "model")] == ["model/model.bin"]
        downloaded = client.download_artifacts(run_id, "model/model.bin", folder)
        assert Path(downloaded).read_bytes() == path.read_bytes()
    return f"{client.get_run(run_id).info.artifact_uri}/model"


def register(client: mlflow.MlflowClient, run_id: str, source: str) -> None:
    """Registers two versions of a model and moves an alias."""
    client.create_registered_model("forecast")
    for _ in range(2):
        version = client.create_model_version("forecast", source, run_id)
        client.set_registered_model_alias("forecast", "champion", version.version)
    assert int(client.get_model_version_by_alias("forecast", "champion").version) == 2
    assert len(client.search_model_versions("name = 'forecast'")) == 2


def trace() -> None:
    """Traces two nested calls and finds the trace again."""

    @mlflow.trace
    def inner(value: int) -> int:
        return value + 1

    @mlflow.trace
    def outer(value: int) -> int:
        return inner(value) * 2

    assert outer(1) == 4
    mlflow.flush_trace_async_logging()
    experiment = mlflow.get_experiment_by_name("everything")
    assert experiment is not None
    (found,) = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
    assert {span.name for span in found.data.spans} == {"outer", "inner"}


def main() -> None:
    """Does all of it; an assertion or an exception of the client ends it."""
    client = mlflow.MlflowClient()
    run_id = log_a_run(client)
    register(client, run_id, keep_artifacts(client, run_id))
    trace()


if __name__ == "__main__":
    main()
