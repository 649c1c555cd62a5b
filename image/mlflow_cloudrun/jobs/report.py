"""The report of a job: a line for each thing that it leaves, a summary at the end, and the matching exit status."""

import logging
import time
from collections import defaultdict

DONE, EX_DATAERR, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM = 0, 65, 69, 75, 77  # as in <sysexits.h>
GRAVITY = (DONE, EX_DATAERR, EX_TEMPFAIL, EX_NOPERM, EX_UNAVAILABLE)
LONGEST_REASON = 500


class LeftError(Exception):
    """A thing that the job leaves as it is.

    Args:
        reason: One word for filters: forbidden, missing, foreign, changed or error.
        why: The same for people.
    """

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class ForbiddenError(LeftError):
    """The job's account needs a role that it does not have.

    Args:
        account: Whose, as far as that is known.
        may_not: What it may not do, as in `may not delete objects`.
        resource: On what, `gs://BUCKET`.
        role: Which role would do.
    """

    def __init__(self, account: str, may_not: str, resource: str, role: str) -> None:
        super().__init__("forbidden", f"{account} may not {may_not} in {resource}")
        self.missing = {"role": role, "on": resource, "for": account}
        self.sentence = (
            f"{self}: it needs {role} on {resource}. Set it in the settings, or once by hand: gcloud storage buckets "
            f"add-iam-policy-binding {resource} --member=serviceAccount:{account} --role={role}"
        )


class Report:
    """Counts what a job does.

    Args:
        command: The job's name, which is also its logger's.

    Attributes:
        counts: How many, by what became of them (collected, failed, kept ...) and by kind.
        status: The exit status as far as it is known.
        by: Whose doing it is: the address of the job's account, as far as that is known.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.logger = logging.getLogger(command)
        self.counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.details: dict[str, object] = {}
        self.status = DONE
        self.by = ""
        self._start = time.monotonic()
        self._roles: set[str] = set()

    def count(self, outcome: str, kind: str, number: int = 1) -> None:
        """Notes what was done with some things of a kind."""
        if number:
            self.counts[outcome][kind] += number

    def removed(self, kind: str, *names: str) -> None:
        """Tells of things that are gone for good, as the service's log tells of what people do (identity.py)."""
        self.count("collected", kind, len(names))
        fields = {"kind": kind, "user": self.by, "write": {"operation": self.command, "ids": names}}
        self.logger.info("%s removed: %s", kind, ", ".join(names), extra={"fields": fields})

    def left(self, kind: str, name: str, error: Exception, *, status: int = EX_TEMPFAIL) -> None:
        """Tells of one thing that the job could not do its work on; as a rule, the next run tries again."""
        reason = error.reason if isinstance(error, LeftError) else "error"
        self.fail(EX_NOPERM if isinstance(error, ForbiddenError) else status)
        if isinstance(error, ForbiddenError) and error.sentence not in self._roles:
            self._roles.add(error.sentence)
            self.logger.error("%s", error.sentence, extra={"fields": {"missing": error.missing}})
        self.count("failed", kind)
        self._line(logging.WARNING, kind, name, "left", reason, str(error))

    def kept(self, kind: str, name: str, why: str) -> None:
        """Tells of one thing that the job rightly leaves."""
        self.count("kept", kind)
        self._line(logging.INFO, kind, name, "kept", "in use", why)

    def _line(self, level: int, kind: str, name: str, outcome: str, reason: str, why: str) -> None:  # noqa: PLR0913, PLR0917
        fields = {"kind": kind, "id": name, "reason": reason}
        text = why if len(why) <= LONGEST_REASON else why[:LONGEST_REASON] + "..."
        self.logger.log(level, "%s %s %s: %s", kind, name, outcome, text, extra={"fields": fields})

    def fail(self, status: int) -> None:
        """Notes an exit status; the graver one stays."""
        self.status = max(self.status, status, key=GRAVITY.index)

    def finish(self) -> int:
        """Writes the summary; returns the exit status."""
        counts = {outcome: dict(kinds) for outcome, kinds in self.counts.items()}
        told = [f"{outcome} {number} {kind}" for outcome, kinds in counts.items() for kind, number in kinds.items()]
        summary = {
            "command": self.command,
            "status": self.status,
            "seconds": round(time.monotonic() - self._start, 1),
            **counts,
            **self.details,
        }
        level = logging.ERROR if self.status else logging.INFO
        text = ", ".join(told) or "nothing to do"
        self.logger.log(level, "%s: %s", self.command, text, extra={"fields": {"summary": summary, "user": self.by}})
        return self.status
