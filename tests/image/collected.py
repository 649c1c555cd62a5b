"""What a collection meets, of which it takes some: runs, experiments, models and traces, deleted or not, with files."""

from dataclasses import dataclass

from tests.image import traces
from tests.image.deployment import ROOT, Deployment

LONG_AGO, NOT_YET = 1_000_000_000_000, 9_000_000_000_000  # 2001 and 2255, in milliseconds
DELETED = f"lifecycle_stage = 'deleted', last_update_time = {LONG_AGO}"


@dataclass(frozen=True, kw_only=True)
class World:
    """What was there before a collection, by what becomes of it."""

    active: str
    recent: str
    old: str
    ageless: str
    registered: str
    foreign: str
    at_the_root: str
    experiment: str
    of_experiment: str
    model_of_experiment: str
    trace_of_experiment: str
    held_experiment: str
    model: str
    deleted_trace: str
    trace: str


def old(deployment: Deployment, run: str, deleted: int | str = LONG_AGO) -> str:
    """Deletes a run, as if long ago."""
    deployment.delete_run(run)
    deployment.execute(f"UPDATE runs SET deleted_time = {deleted} WHERE run_uuid = '{run}'")  # noqa: S608
    return run


def logged_model(deployment: Deployment, experiment: str, run: str) -> str:
    """Makes a logged model with a file."""
    made = deployment.call("POST", "logged-models", experiment_id=experiment, name="m", source_run_id=run)
    model = made["model"]["info"]
    deployment.call("POST", "runs/outputs", run_id=run, models=[{"model_id": model["model_id"], "step": 1}])
    deployment.upload(f"{model['artifact_uri']}/weights")
    return model["model_id"]


def trace(deployment: Deployment, experiment: str) -> str:
    """Makes a trace with an attachment; returns its id."""
    before = set(deployment.execute("SELECT request_id FROM trace_info"))
    headers = deployment.service.bearer() | {"x-mlflow-experiment-id": experiment}
    assert traces.export(deployment.service.http, traces.body("asked"), headers=headers).is_success
    ((made,),) = set(deployment.execute("SELECT request_id FROM trace_info")) - before
    deployment.upload(f"{ROOT}/{experiment}/traces/{made}/artifacts/attachments/picture")
    return made


def spans_of(deployment: Deployment, trace: str) -> list[str]:
    """Returns the names of a trace's spans, as MLflow's page gets them."""
    answer = deployment.service.http.get(
        "/ajax-api/3.0/mlflow/get-trace-artifact",
        params={"request_id": trace},
        headers=deployment.service.bearer(),
    )
    assert answer.is_success, answer.text
    return [span["name"] for span in answer.json()["spans"]]


def registered(deployment: Deployment, run: str) -> str:
    """Registers a model that lies in a run's files."""
    deployment.call("POST", "registered-models/create", name="kept")
    deployment.call("POST", "model-versions/create", name="kept", source=f"{ROOT}/0/{run}/artifacts/model", run_id=run)
    return run


def made_world(deployment: Deployment) -> World:
    """Makes it all."""
    doomed = deployment.experiment("deleted with all it holds")
    of_experiment = deployment.run(doomed)
    model_of_experiment = logged_model(deployment, doomed, of_experiment)
    trace_of_experiment = trace(deployment, doomed)
    held = deployment.experiment("deleted, and a run restored")
    restored = deployment.run(held)
    for experiment in (doomed, held):
        deployment.call("POST", "experiments/delete", experiment_id=experiment)
        deployment.execute(f"UPDATE experiments SET {DELETED} WHERE experiment_id = {experiment}")  # noqa: S608
    deployment.call("POST", "runs/restore", run_id=restored)
    active, recent, foreign, at_the_root = (deployment.run() for _ in range(4))
    old(deployment, recent, NOT_YET)
    for run, location in ((foreign, "mlflow-artifacts:/0/x/artifacts"), (at_the_root, ROOT)):
        deployment.execute(f"UPDATE runs SET artifact_uri = '{location}' WHERE run_uuid = '{old(deployment, run)}'")  # noqa: S608
    model = logged_model(deployment, "0", active)
    deployment.call("DELETE", f"logged-models/{model}")
    deployment.execute(f"UPDATE logged_models SET last_updated_timestamp_ms = 1 WHERE model_id = '{model}'")  # noqa: S608
    deleted_trace = trace(deployment, "0")
    deployment.execute(f"DELETE FROM trace_info WHERE request_id = '{deleted_trace}'")  # noqa: S608
    return World(
        active=active,
        recent=recent,
        old=old(deployment, deployment.run(files=30)),
        ageless=old(deployment, deployment.run(), "NULL"),
        registered=registered(deployment, old(deployment, deployment.run())),
        foreign=foreign,
        at_the_root=at_the_root,
        experiment=doomed,
        of_experiment=of_experiment,
        model_of_experiment=model_of_experiment,
        trace_of_experiment=trace_of_experiment,
        held_experiment=held,
        model=model,
        deleted_trace=deleted_trace,
        trace=trace(deployment, "0"),
    )
