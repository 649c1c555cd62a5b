"""`mlflow-google doctor | token | env`: which credential there is, what the gate says to it, and a token for curl."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import requests

from mlflow_google import hosts
from mlflow_google.credentials import Ladder
from mlflow_google.errors import CredentialError
from mlflow_google.refusal import clock_skew, was_refused, why_refused
from mlflow_google.tokens import clock, fetch_patiently

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_google.credentials import Token

EX_USAGE, EX_NOPERM, EX_UNAVAILABLE, EX_CONFIG = 64, 77, 69, 78
TIMEOUT_S = 30
PATH = "/api/2.0/mlflow/experiments/search?max_results=1"
# MLflow's own patience is five or seven tries (2.8, 3.17). It takes no more than ten.
RETRIES, FACTOR_S, LONGEST_PAUSE_S = 9, 1, 120
# urllib3 repeats at once, then after 2, 4, 8, ... times the factor, and never pauses for longer than two minutes:
# https://urllib3.readthedocs.io/en/stable/reference/urllib3.util.html#urllib3.util.Retry
PAUSES_S = [0, *(min(LONGEST_PAUSE_S, FACTOR_S * 2**number) for number in range(1, RETRIES))]
SETTINGS = {
    "MLFLOW_TRACKING_AUTH": "google",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": str(FACTOR_S),
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "300",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: 0; 64 when no server is named; 69 when it cannot be reached; 77 when it refuses; 78 when there
        is no credential.
    """
    parser = argparse.ArgumentParser(prog="mlflow-google", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("doctor", "say which credential there is, and what the service answers"),
        ("token", 'print an identity token for the service: curl -H "Authorization: Bearer $(mlflow-google token)"'),
        ("env", "print the variables of a client, for a shell"),
    ):
        commands.add_parser(name, help=text).add_argument(
            "uri", nargs="?", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="default: $MLFLOW_TRACKING_URI"
        )
    options = parser.parse_args(arguments)
    server = hosts.origin(options.uri)
    if not server:
        print("which service? Set MLFLOW_TRACKING_URI=https://..., or name it as an argument", file=sys.stderr)
        return EX_USAGE
    if options.command == "env":
        for name, value in {"MLFLOW_TRACKING_URI": server, **SETTINGS}.items():
            print(f"export {name}={value}")
        # Last, for an `eval` without quotes makes one line of all.
        print(f"# A request is repeated for {sum(PAUSES_S)} s, after {', '.join(map(str, PAUSES_S))} s: it survives")
        print("# a rollout, a restart of the database and the death of the only instance.")
        return 0
    try:
        token = fetch_patiently(Ladder(), hosts.audience(server))
    except CredentialError as error:
        print(f"no token: {error}", file=sys.stderr)
        return EX_CONFIG
    if options.command == "token":
        print(token.text)
        return 0
    return diagnose(server, token)


def diagnose(server: str, token: Token) -> int:
    """Prints what is known of a token, and what the service answers to it; returns the exit status."""
    print(f"credential  {token.source}")
    print(f"address     {token.email or '(none: the service will refuse it)'}")
    print(f"audience    {token.audience}")
    print(f"until       {clock(token.expires)}")
    if server.startswith("http://") and not hosts.is_private_to_this_machine(server):
        print(f"service     {server} is not https: no token is sent there")
        return EX_USAGE
    try:
        answer = requests.get(
            server + PATH, headers={"Authorization": f"Bearer {token.text}"}, timeout=TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        print(f"service     {server} cannot be reached: {error}")
        return EX_UNAVAILABLE
    print(f"clock       {clock_skew(answer):+.0f} s at the service")
    if answer.ok:
        print(f"service     {server} lets you in")
        return 0
    if was_refused(answer):
        print(f"service     {why_refused(answer, token)}")
        return EX_NOPERM
    print(f"service     {server} answered {answer.status_code}: is this an MLflow of this kind?")
    return EX_UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
