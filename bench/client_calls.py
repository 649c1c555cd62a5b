"""Imports MLflow and calls the tracking server as its client does; prints what that took, as JSON. Argument: CALLS."""

import json
import sys
import time
from statistics import median


def main(calls: int) -> None:
    """Measures, in milliseconds; CPU time is that of this process alone."""
    start, cpu = time.perf_counter(), time.process_time()
    import mlflow  # noqa: PLC0415

    imported, imported_cpu = time.perf_counter() - start, time.process_time() - cpu

    client = mlflow.MlflowClient()

    def call() -> float:
        start = time.perf_counter()
        client.get_experiment("0")
        return time.perf_counter() - start

    first = call()
    cpu = time.process_time()
    each = median(call() for _ in range(calls))
    figures = {
        "import": imported,
        "import, CPU": imported_cpu,
        "first request": first,
        "each further request": each,
        "each further request, CPU": (time.process_time() - cpu) / calls,
    }
    print(json.dumps({name: seconds * 1000 for name, seconds in figures.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
