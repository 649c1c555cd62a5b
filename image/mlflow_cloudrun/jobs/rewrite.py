"""`rewrite-roots`: puts this deployment's locations into the place of those that another server's database names."""

import argparse

from mlflow_cloudrun import roots
from mlflow_cloudrun.jobs.connection import Database
from mlflow_cloudrun.jobs.objects import Objects
from mlflow_cloudrun.jobs.report import EX_DATAERR, Report


def run(database: Database, objects: Objects, report: Report, options: argparse.Namespace) -> None:
    """Runs the job; all roots, or none."""
    problems = [f"--root: {new} is not below {', '.join(objects.served.served)}" for _, new in options.root]
    problems = [text for text, (_, new) in zip(problems, options.root, strict=True) if not objects.served.serves(new)]
    for text in problems:
        report.logger.critical("%s", text)
    if problems:
        report.fail(EX_DATAERR)
        return
    for old, new in options.root:
        try:
            changed = database.in_turn(
                lambda session, old=old, new=new: roots.rewrite(session, old, new, dry_run=options.dry_run)
            )
        except roots.TooLongError as error:
            report.logger.critical("%s", error)
            report.fail(EX_DATAERR)
            return
        for kind, number in changed.items():
            report.count("to rewrite" if options.dry_run else "rewritten", kind, number)
    report.details["foreign"] = dict(roots.foreign(database.engine, objects.served.served))
