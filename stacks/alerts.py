"""The alerts of a deployment as data, by thresholds of Google's metrics and by log entries.

Metrics: https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run and
https://cloud.google.com/monitoring/api/metrics_gcp_c#gcp-cloudsql. Log entries: docs/runbook.md.
A metric of one's own (google_logging_metric) fits no alert: it does not exist yet at the first apply.
https://github.com/hashicorp/terraform-provider-google/issues/11102
"""

from dataclasses import dataclass
from typing import Final

SERVICE: Final = 'resource.type = "cloud_run_revision" AND resource.labels.service_name = "{service}"'
JOBS: Final = 'resource.type = "cloud_run_job" AND resource.labels.job_name = starts_with("{service}-")'
INSTANCE: Final = 'resource.type = "cloudsql_database" AND resource.labels.database_id = "{database}"'
PERIOD_S: Final = 300
LOG_OF_SERVICE: Final = 'resource.type="cloud_run_revision" AND resource.labels.service_name="{service}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """An alert on a metric.

    Attributes:
        title: What is wrong.
        todo: What to look at, for whoever gets the message.
        of: The resource, a filter with gaps for names.
        metric: The metric's type; with a gap where it depends on the engine.
        labels: Further conditions on the metric's labels.
        aligner: How the points of a time series become one every PERIOD_S.
        reducer: How time series become one.
        above: The limit: a number, or what Limits calls it.
        seconds: How long it must last.
    """

    title: str
    todo: str
    of: str
    metric: str
    labels: str = ""
    aligner: str
    reducer: str
    above: float | str
    seconds: int

    @property
    def filter(self) -> str:
        """The filter of the time series."""
        return " AND ".join(filter(None, (self.of, f'metric.type = "{self.metric}"', self.labels)))


@dataclass(frozen=True, kw_only=True, slots=True)
class LogEntry:
    """An alert on a log entry, at most one message an hour.

    Attributes:
        title: What is wrong.
        todo: What to look at.
        filter: The entries.
    """

    title: str
    todo: str
    filter: str


THRESHOLDS: Final = {
    "server-errors": Threshold(
        title="MLflow answers with errors",
        todo="Read the log of the service: severity>=ERROR.",
        of=SERVICE,
        metric="run.googleapis.com/request_count",
        labels='metric.labels.response_code_class = "5xx"',
        aligner="ALIGN_DELTA",
        reducer="REDUCE_SUM",
        above=5,
        seconds=0,
    ),
    "slow": Threshold(
        title="MLflow is slow",
        todo="Look at the dashboard: CPU and memory of the instances, connections of the database.",
        of=SERVICE,
        metric="run.googleapis.com/request_latencies",
        aligner="ALIGN_DELTA",
        reducer="REDUCE_PERCENTILE_95",
        above="p95_milliseconds",
        seconds=900,
    ),
    "instances-at-maximum": Threshold(
        title="MLflow runs on all the instances that it may have",
        todo="Raise service.max_instances, and database.tier with it, or find who calls so often.",
        of=SERVICE,
        metric="run.googleapis.com/container/instance_count",
        labels='metric.labels.state = "active"',
        aligner="ALIGN_MAX",
        reducer="REDUCE_SUM",
        above="instances_below_maximum",
        seconds=600,
    ),
    "database-disk": Threshold(
        title="The database's disk is filling up",
        todo="Raise database.disk_gb or database.disk_limit_gb; collect garbage and archive traces.",
        of=INSTANCE,
        metric="cloudsql.googleapis.com/database/disk/utilization",
        aligner="ALIGN_MEAN",
        reducer="REDUCE_MAX",
        above=0.85,
        seconds=900,
    ),
    "database-connections": Threshold(
        title="The database has more connections than the deployment opens",
        todo="Find who else connects; a new revision may find no connection left.",
        of=INSTANCE,
        metric="{connections}",
        aligner="ALIGN_MAX",
        reducer="REDUCE_SUM",
        above="connections_of_deployment",
        seconds=300,
    ),
    "database-memory": Threshold(
        title="The database's memory is nearly full",
        todo="Take a larger database.tier.",
        of=INSTANCE,
        metric="cloudsql.googleapis.com/database/memory/utilization",
        aligner="ALIGN_MEAN",
        reducer="REDUCE_MAX",
        above=0.95,
        seconds=900,
    ),
    "failed-jobs": Threshold(
        title="A job failed",
        todo="Read the last line of the job's log: it says what was left, and which role is missing.",
        of=JOBS,
        metric="run.googleapis.com/job/completed_execution_count",
        labels='metric.labels.result = "failed"',
        aligner="ALIGN_DELTA",
        reducer="REDUCE_SUM",
        above=0,
        seconds=0,
    ),
}

LOG_ENTRIES: Final = {
    "denied-sign-in": LogEntry(
        title="A sign-in was denied",
        todo="Somebody without access tried to sign in; the entry has the address.",
        filter=f'{LOG_OF_SERVICE} AND jsonPayload.logger="oauth2-proxy.auth" AND severity>=WARNING',
    ),
    "container-ended": LogEntry(
        title="A container of MLflow ended by itself",
        todo="The entry has the status or the reason; the runbook says what each means.",
        # What start.sh says last, and what Cloud Run says of a container that it or the kernel killed.
        filter=f"{LOG_OF_SERVICE} AND (severity>=CRITICAL"
        ' OR textPayload:"Container terminated on signal" OR textPayload:"Memory limit of")',
    ),
}

UPTIME: Final = Threshold(
    title="MLflow does not answer",
    todo="The service did not answer at /ready. Read its log: severity>=ERROR.",
    of='resource.type = "uptime_url"',
    metric="monitoring.googleapis.com/uptime_check/check_passed",
    labels='metric.labels.check_id = "{check}"',
    aligner="ALIGN_NEXT_OLDER",
    reducer="REDUCE_COUNT_FALSE",
    # Of the regions that ask, more than one got no answer.
    above=1,
    seconds=60,
)
"""Of the uptime check, which is there only when it is asked for."""
