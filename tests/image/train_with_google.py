"""A training that outlives its tokens, with threads and forked workers; prints what was acknowledged, as JSON.

Arguments: SECONDS THREADS. It runs with MLflow's oldest client that is supported, too: only what 2.8 knows.
"""

import json
import os
import sys
import threading
import time

import mlflow


def log_until(end: float, client: "mlflow.MlflowClient", run_id: str, key: str) -> int:
    """Logs a metric, again and again; returns how many were acknowledged."""
    step = 0
    while time.time() < end:
        client.log_metric(run_id, key, step, step=step)
        step += 1
        time.sleep(0.1)
    return step


def main() -> None:
    """Trains; an exception of the client ends it."""
    seconds, threads = float(sys.argv[1]), int(sys.argv[2])
    end = time.time() + seconds
    client = mlflow.MlflowClient()
    mlflow.set_experiment("google")
    counts = {}
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        reader, writer = os.pipe()
        worker = os.fork()
        if worker == 0:
            count = log_until(end, client, run_id, "worker")
            os.write(writer, str(count).encode())
            os._exit(0)

        def work(number: int) -> None:
            key = f"thread{number}"
            counts[key] = log_until(end, client, run_id, key)

        running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        _, status = os.waitpid(worker, 0)
        assert status == 0
        counts["worker"] = int(os.read(reader, 20))
    stored = {key: len(client.get_metric_history(run_id, key)) for key in counts}
    tags = client.get_run(run_id).data.tags
    status = client.get_run(run_id).info.status
    result = {"version": mlflow.__version__, "logged": counts, "stored": stored, "status": status}
    print(json.dumps({**result, "user": tags.get("mlflow.user")}))


if __name__ == "__main__":
    main()
