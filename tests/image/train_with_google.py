"""A training that outlives its tokens, with threads, forked workers and async logging; prints what was acknowledged.

Arguments: SECONDS THREADS PAUSE_S END. It trains for so long, and on until there is a file END. It runs with MLflow's
oldest client that is supported, too: only what 2.8 knows.
Each second it says on stderr how many writes were acknowledged; the last line on stdout is JSON.
"""

import json
import os
import sys
import threading
import time

import mlflow

WORKERS = 2
EARLIEST, THREADS, PAUSE_S, END = time.time() + float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]


class Log:
    """One writer's acknowledged steps, and the longest time that it waited for one."""

    def __init__(self, key: str) -> None:
        self.key, self.steps, self.longest_s = key, 0, 0.0

    def write(self, client: "mlflow.MlflowClient", run_id: str) -> "Log":
        """Logs a metric, again and again; an exception of the client ends the program."""
        while time.time() < EARLIEST or not os.path.exists(END):  # noqa: PTH110
            start = time.time()
            client.log_metric(run_id, self.key, self.steps, step=self.steps)
            self.longest_s = max(self.longest_s, time.time() - start)
            self.steps += 1
            time.sleep(PAUSE_S)
        return self


def forked(client: "mlflow.MlflowClient", run_id: str, key: str) -> "tuple[int, int]":
    """Starts a worker as PyTorch's DataLoader does; returns its process id, and where it tells what it logged."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            log = Log(key).write(client, run_id)
            os.write(writer, json.dumps([log.steps, log.longest_s]).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    return pid, reader


def main() -> None:
    """Trains."""
    client = mlflow.MlflowClient()
    mlflow.set_experiment(f"google {mlflow.__version__}")
    logs = [Log(f"thread{number}") for number in range(THREADS)]
    late = Log("async")
    operations = []
    failures = []
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        workers = {f"worker{n}": forked(client, run_id, f"worker{n}") for n in range(WORKERS)}

        def work(log: Log) -> None:
            try:
                log.write(client, run_id)
            except BaseException as error:
                failures.append(error)
                raise

        running = [threading.Thread(target=work, args=(log,)) for log in logs]
        for thread in running:
            thread.start()
        while any(thread.is_alive() for thread in running):
            operation = client.log_metric(run_id, late.key, late.steps, step=late.steps, synchronous=False)
            operations.append(operation)
            late.steps += 1
            print(f"{mlflow.__version__}: {sum(log.steps for log in logs)}", file=sys.stderr, flush=True)
            time.sleep(1)
        for operation in operations:
            operation.wait()
        for name, (pid, reader) in workers.items():
            assert os.waitpid(pid, 0)[1] == 0, name
            log = Log(name)
            log.steps, log.longest_s = json.loads(os.read(reader, 100))
            logs.append(log)
        assert not failures, failures
    logs.append(late)
    finished = client.get_run(run_id)
    stored = {log.key: [metric.step for metric in client.get_metric_history(run_id, log.key)] for log in logs}
    result = {
        "version": mlflow.__version__,
        "status": finished.info.status,
        "user": finished.data.tags.get("mlflow.user"),
        "acknowledged": sum(log.steps for log in logs),
        "lost": [f"{log.key}[{step}]" for log in logs for step in range(log.steps) if step not in stored[log.key]],
        "doubled": sum(len(steps) - len(set(steps)) for steps in stored.values()),
        "longest_s": round(max(log.longest_s for log in logs), 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
