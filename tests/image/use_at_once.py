"""An evaluation, and trainings that log from 16 threads, at once, with MLflow's client: `use_at_once.py ROWS STEPS`."""

import sys
import threading

import mlflow

LOGGERS = 16


@mlflow.genai.scorer
def is_even(outputs: int) -> bool:
    """A scorer that needs no network."""
    return outputs % 2 == 0


def evaluate(rows: int) -> str:
    """Evaluates so many rows, each of which becomes a trace; returns the run's id."""
    data = [{"inputs": {"number": number}, "outputs": number} for number in range(rows)]
    result = mlflow.genai.evaluate(data=data, scorers=[is_even])
    mlflow.flush_trace_async_logging()
    return result.run_id


def train(client: mlflow.MlflowClient, run_id: str, steps: int) -> None:
    """Logs a metric step by step without waiting, then waits for all of them."""
    operations = [client.log_metric(run_id, "loss", step, step=step, synchronous=False) for step in range(steps)]
    for operation in operations:
        assert operation is not None
        operation.wait()


def main() -> None:
    """Does both; an assertion ends it when a trace or a metric is missing."""
    rows, steps = map(int, sys.argv[1:])
    experiment = mlflow.set_experiment("at once")
    client = mlflow.MlflowClient()
    runs = [client.create_run(experiment.experiment_id).info.run_id for _ in range(LOGGERS)]
    threads = [threading.Thread(target=train, args=(client, run_id, steps)) for run_id in runs]
    for thread in threads:
        thread.start()
    run_id = evaluate(rows)
    for thread in threads:
        thread.join()
    here = {"locations": [experiment.experiment_id], "run_id": run_id}
    found = mlflow.search_traces(**here, max_results=rows + 1, return_type="list", include_spans=False)
    assert len(found) == rows, f"{len(found)} traces of {rows}"
    assert {len(trace.info.assessments) for trace in found} == {1}
    for logged in runs:
        history = client.get_metric_history(logged, "loss")
        assert sorted(metric.step for metric in history) == list(range(steps)), f"{len(history)} metrics of {steps}"


if __name__ == "__main__":
    main()
