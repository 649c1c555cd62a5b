"""One run, or one trace where the package has no runs; prints what became of it, as JSON."""

# MLflow's own annotations are partial.
# pyright: reportUnknownMemberType=false

import json

import mlflow


def one_run() -> dict[str, str | None]:
    """Logs a run."""
    mlflow.set_experiment("google")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5)
    found = mlflow.MlflowClient().get_run(run.info.run_id)
    return {"status": found.info.status, "user": found.data.tags.get("mlflow.user")}


def one_trace() -> dict[str, str]:
    """Logs a trace."""
    from mlflow.tracing.client import TracingClient  # noqa: PLC0415  2.8 has none

    mlflow.set_experiment("google-traces")
    with mlflow.start_span("google") as span:
        span.set_inputs({"question": "?"})
    mlflow.flush_trace_async_logging()
    # The trace as the server knows it; its spans are in the bucket with older clients, which is another credential's.
    info = TracingClient().get_trace_info(span.trace_id)
    return {"status": f"trace {info.state.value}"}


if __name__ == "__main__":
    result = one_run() if hasattr(mlflow, "start_run") else one_trace()
    print(json.dumps({"version": mlflow.__version__, "user": "", **result}))
