"""start.sh's functions, sourced one by one."""

import http.server
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "image/start.sh"


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Sources start.sh and runs a few lines after it."""
    command = ["bash", "-c", f"source {START}\n{script}"]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def answering(status: int) -> http.server.ThreadingHTTPServer:
    """A server on a free port that gives every request the same status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_sourcing_it_does_nothing() -> None:
    done = run("")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (302, 1)])
def test_mlflow_answers_only_with_200(status: int, expected: int) -> None:
    server = answering(status)
    try:
        assert run(f"answers {server.server_port}").returncode == expected
    finally:
        server.shutdown()


def test_nobody_there_is_no_answer() -> None:
    assert run("answers 9").returncode == 1


def test_a_command_that_it_does_not_know_is_refused() -> None:
    done = run("main serv")
    assert done.returncode == 64
    assert (
        "known are serve, db-upgrade, gc, archive-traces, verify, import, rewrite-roots, leave-teams, version"
        in done.stderr
    )


@pytest.mark.parametrize(
    ("child", "status", "said"),
    [
        ("exit 3", 3, "MLflow ended with status 3"),
        ("true", 70, "MLflow ended with status 0"),
        ("kill -9 $BASHPID", 137, "137"),
    ],
)
def test_the_first_child_decides_the_status(child: str, status: int, said: str) -> None:
    others = 'sleep 60 & proxy=$! edge=; trap "kill $proxy" EXIT'
    script = f'( {child} ) & mlflow=$!; {others}; wait_for_first_exit "$mlflow" "$proxy"'
    done = run(script)
    assert done.returncode == status
    assert said in done.stderr


def test_stop_kills_what_does_not_leave() -> None:
    stubborn = "trap '' TERM; sleep 60 & stubborn=$!; trap - TERM"  # a child inherits what is ignored
    assert run(f'{stubborn}; stop TERM "$stubborn" 1; kill -0 "$stubborn"').returncode == 1


STUBS = """
check_environment() { :; }; wait_until_mlflow_answers() { :; }; wait_until_proxy_listens() { :; }; watch_mlflow() { :; }
start_mlflow() { sleep 60 & mlflow=$!; }; start_proxy() { sleep 60 & proxy=$!; }; start_edge() { sleep 60 & edge=$!; }
"""


@pytest.mark.parametrize("stopped", ["serve", "start_edge() { sleep 60 & edge=$!; kill -TERM $$; }; serve"])
def test_bash_adds_no_line_of_its_own_for_what_it_stops(stopped: str) -> None:
    for _ in range(2):  # it reports a killed command between any two others
        done = run(STUBS + stopped)
        assert [json.loads(line)["logger"] for line in done.stderr.splitlines()]


def test_a_stop_at_any_moment_of_the_start_leaves_lines_of_json_alone() -> None:
    stubs = "check_environment() { echo begun; sleep 0.1; }; start_mlflow() { sleep 60 & mlflow=$!; }"
    for moment in range(20):  # half of them in the check, half of them while MLflow is waited for
        group = subprocess.Popen(
            ["bash", "-c", f"source {START}\n{stubs}; serve"],
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert group.stdout
        group.stdout.readline()
        time.sleep(moment * 0.01)
        os.killpg(group.pid, signal.SIGTERM)
        _, lines = group.communicate(timeout=30)
        assert group.returncode == 0
        assert [json.loads(line)["message"] for line in lines.splitlines()][-1] == "Stopped"
