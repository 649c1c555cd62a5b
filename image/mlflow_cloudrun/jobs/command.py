"""The command line of the jobs: `python -m mlflow_cloudrun gc --older-than=30d`."""

import argparse
import logging
import os
import re
import signal
from importlib import import_module
from typing import Any, NoReturn

from mlflow_cloudrun import database
from mlflow_cloudrun.jobs.connection import Database, GoneError
from mlflow_cloudrun.jobs.report import EX_DATAERR, EX_TEMPFAIL, EX_UNAVAILABLE, Report

EX_USAGE = 64
AGE = re.compile(r"(?=.)((?P<days>\d+)d)?((?P<hours>\d+)h)?((?P<minutes>\d+)m)?((?P<seconds>\d+)s)?", re.ASCII)
SECONDS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
LONGEST_AGE_S = 100 * 365 * 86_400


class StoppedError(BaseException):
    """Somebody asked the job to end."""


class Parser(argparse.ArgumentParser):
    """Tells in one log entry what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with EX_USAGE.

        Raises:
            SystemExit: Always.
        """
        logging.getLogger(self.prog).critical("%s; %s", message, " ".join(self.format_usage().split()))
        raise SystemExit(EX_USAGE)


def age(text: str) -> int:
    """Returns the seconds of an age such as 30d or 1d12h.

    Raises:
        ValueError: It is none.
    """
    found = AGE.fullmatch(text)
    seconds = sum(int(number) * SECONDS[unit] for unit, number in found.groupdict("0").items()) if found else -1
    if not 0 <= seconds <= LONGEST_AGE_S:
        raise ValueError(text)
    return seconds


def natural(text: str) -> int:
    """Returns a number from 0 on.

    Raises:
        ValueError: It is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def root(text: str) -> tuple[str, str]:
    """Returns an old root of artifacts and the new one.

    Raises:
        ValueError: It is no such pair.
    """
    old, _, new = text.rpartition("=")
    if not old or not new.startswith("gs://"):
        raise ValueError(text)
    return old, new


def parser_of(command: str) -> Parser:
    """Returns the parser of a job's options."""
    parser = Parser(prog=command, add_help=False, allow_abbrev=False)
    if command in ("gc", "archive-traces"):
        parser.add_argument("--older-than", type=age, default="30d", metavar="AGE, as 30d or 1d12h")
    if command in ("verify", "import"):
        parser.add_argument("--sample", type=natural, default=100, metavar="NUMBER, 0 for all")
    if command in ("import", "rewrite-roots"):
        parser.add_argument("--root", type=root, action="append", default=[], metavar="OLD=NEW")
    if command in ("rewrite-roots", "leave-teams"):
        parser.add_argument("--dry-run", action="store_true")
    if command == "import":
        parser.add_argument("--from", dest="source", default="", metavar="FOLDER or SQLite file, here or in gs://")
    return parser


# The module of each job, which is imported when it is called for.
JOBS = {
    "gc": "collect",
    "archive-traces": "archive",
    "verify": "verify",
    "import": "moving",
    "rewrite-roots": "rewrite",
    "leave-teams": "leave",
}


def stop(*_: object) -> NoReturn:
    """Ends the job where it is.

    Raises:
        StoppedError: Always.
    """
    raise StoppedError


def run(command: str, arguments: list[str], uri: str) -> int:
    """Runs a job; returns its exit status, when its summary is written."""
    options = parser_of(command).parse_args(arguments)
    options.uri = uri
    report = Report(command)
    # Cloud Run asks, and kills 10 s later: https://cloud.google.com/run/docs/create-jobs#task_timeout
    signal.signal(signal.SIGTERM, stop)
    try:
        work(command, report, options)
    except GoneError as error:
        report.logger.critical("%s. What was done is done; the next run goes on", error)
        report.fail(EX_UNAVAILABLE)
    except database.BusyError as error:
        report.logger.critical("%s", error)
        report.fail(EX_TEMPFAIL)
    except (database.NewerSchemaError, database.OlderSchemaError, database.HalfMovedError) as error:
        report.logger.critical("%s", error)
        report.fail(EX_DATAERR)
    except StoppedError:
        report.logger.warning("Stopped; the next run goes on")
        report.fail(EX_TEMPFAIL)
    return report.finish()


def work(command: str, report: Report, options: Any) -> None:  # noqa: ANN401
    """Does the job, on a database of the right schema."""
    from mlflow_cloudrun.jobs.objects import Objects  # noqa: PLC0415  with Google's libraries, which take their time
    from mlflow_cloudrun.locations import Locations, roots  # noqa: PLC0415

    connection = Database(options.uri)
    if command != "import":  # which makes the schema itself
        connection.patiently(lambda: database.refuse_other_schema(connection.engine))
    job = import_module(f"mlflow_cloudrun.jobs.{JOBS[command]}")
    objects = Objects(Locations(roots(os.environ)))
    report.by = objects.ask_for_account()
    job.run(connection, objects, report, options)
