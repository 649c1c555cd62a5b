"""One run, or one trace where the package has no runs; prints what became of it, as JSON."""

import json
import time

import mlflow


def one_run() -> dict:
    """Logs a run."""
    mlflow.set_experiment("google")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5)
    found = mlflow.MlflowClient().get_run(run.info.run_id)
    return {"status": found.info.status, "user": found.data.tags.get("mlflow.user")}


def one_trace() -> dict:
    """Logs a trace."""
    mlflow.set_experiment("google-traces")
    with mlflow.start_span("google") as span:
        span.set_inputs({"question": "?"})
    mlflow.flush_trace_async_logging()
    end = time.time() + 60
    while time.time() < end:
        if trace := mlflow.get_trace(span.trace_id):
            return {"status": f"trace {trace.info.state.value}"}
        time.sleep(0.5)
    return {"status": "no trace"}


if __name__ == "__main__":
    result = one_run() if hasattr(mlflow, "start_run") else one_trace()
    print(json.dumps({"version": mlflow.__version__, "user": "", **result}))
