"""A training, as anybody would write it: `train.py EXPERIMENT ROWS`; 7,500 rows make a model of 50 MB.

Prints a line of JSON: the run, where its artifacts and its model are, and the version that was registered.
"""

import json
import sys

import mlflow
import numpy as np
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

TREES, STEP = 100, 10
MODEL = "forest"


def train(rows: int) -> tuple[RandomForestRegressor, np.ndarray]:
    """Grows a forest tree by tree and logs how good it is; returns it, and data to ask it about."""
    features, target = make_regression(rows, n_features=8, n_informative=4, noise=1, random_state=0)
    seen, unseen, seen_target, unseen_target = train_test_split(features, target, random_state=0)
    forest = RandomForestRegressor(n_estimators=0, warm_start=True, n_jobs=1, random_state=0)
    mlflow.log_params({"trees": TREES, "rows": rows})
    for trees in range(STEP, TREES + 1, STEP):
        forest.set_params(n_estimators=trees).fit(seen, seen_target)
        error = mean_absolute_error(unseen_target, forest.predict(unseen))
        mlflow.log_metrics({"r2": forest.score(unseen, unseen_target), "error": error}, step=trees)
    return forest, unseen


def main() -> None:
    """Trains, logs, registers, loads and compares; an exception ends it."""
    experiment, rows = sys.argv[1:]
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name="forest") as run:
        forest, data = train(int(rows))
        mlflow.log_text("Trained on made-up data.\n", "notes.txt")
        logged = mlflow.sklearn.log_model(
            forest, name="model", registered_model_name=MODEL, skops_trusted_types=["sklearn.tree._tree.Tree"]
        )
    loaded = mlflow.sklearn.load_model(f"models:/{MODEL}/{logged.registered_model_version}")
    assert (loaded.predict(data) == forest.predict(data)).all()
    told = {"run_id": run.info.run_id, "artifacts": run.info.artifact_uri, "model": logged.artifact_path}
    print(json.dumps(told | {"version": logged.registered_model_version}))


if __name__ == "__main__":
    main()
