"""Google's metrics of the services that the local cloud has: their names, kinds, types, labels and resources.

Only names are known here; which of them are measured is the machine's business. Those of services that are not listed
are taken as they come.
https://cloud.google.com/monitoring/api/metrics_gcp
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCES: dict[str, tuple[str, ...]] = {
    "cloud_run_job": ("job_name", "location", "project_id"),
    "cloud_run_revision": ("configuration_name", "location", "project_id", "revision_name", "service_name"),
    "cloud_scheduler_job": ("job_id", "location", "project_id"),
    "cloudsql_database": ("database_id", "project_id", "region"),
    "uptime_url": ("host", "project_id"),
}
"""Monitored resources of these services -> their labels, https://cloud.google.com/monitoring/api/resources."""
_RUN, _SQL, _UPTIME = (
    "run.googleapis.com/",
    "cloudsql.googleapis.com/database/",
    "monitoring.googleapis.com/uptime_check/",
)
_LOGGING = "logging.googleapis.com/"
LISTED = (_RUN, _SQL, _UPTIME, _LOGGING)
"""What the names begin with that are all listed here."""
OWN = ("custom.googleapis.com/", "external.googleapis.com/", "prometheus.googleapis.com/", "workload.googleapis.com/")
"""What the names of metrics begin with that exist only once somebody has written to them."""
_REVISION, _JOB, _BOTH = ("cloud_run_revision",), ("cloud_run_job",), ("cloud_run_job", "cloud_run_revision")
_DATABASE = ("cloudsql_database",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric's descriptor: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.metricDescriptors.

    Attributes:
        type: its name.
        kind: GAUGE, DELTA or CUMULATIVE.
        value_type: BOOL, INT64, DOUBLE, STRING or DISTRIBUTION.
        resources: types of the monitored resources that have it; none for any.
        labels: the names of its labels.
    """

    type: str
    kind: str
    value_type: str
    resources: tuple[str, ...]
    labels: tuple[str, ...]


_ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        _RUN,
        _REVISION,
        """
        container/completed_probe_attempt_count DELTA INT64 container_name is_default is_healthy probe_action probe_type
        container/completed_probe_count DELTA INT64 container_name is_default is_healthy probe_action probe_type
        container/containers GAUGE INT64 container_name state
        container/instance_count GAUGE INT64 state
        container/max_request_concurrencies DELTA DISTRIBUTION state
        container/probe_attempt_latencies DELTA DISTRIBUTION container_name is_default is_healthy probe_type
        container/probe_latencies DELTA DISTRIBUTION container_name is_default is_healthy probe_type
        pending_queue/pending_requests GAUGE INT64
        request_count DELTA INT64 response_code response_code_class route
        request_latencies DELTA DISTRIBUTION response_code response_code_class route
        request_latency/e2e_latencies DELTA DISTRIBUTION response_code response_code_class
        request_latency/ingress_to_region DELTA DISTRIBUTION response_code response_code_class
        request_latency/pending DELTA DISTRIBUTION response_code response_code_class
        request_latency/response_egress DELTA DISTRIBUTION response_code response_code_class
        request_latency/routing DELTA DISTRIBUTION response_code response_code_class
        request_latency/user_execution DELTA DISTRIBUTION response_code response_code_class
        scaling/recommended_instances GAUGE INT64
        """,
    ),
    (
        _RUN,
        _JOB,
        """
        job/completed_execution_count DELTA INT64 result
        job/completed_task_attempt_count DELTA INT64 attempt result
        job/running_executions GAUGE INT64
        job/running_task_attempts GAUGE INT64
        """,
    ),
    (
        _RUN,
        _BOTH,
        """
        container/billable_instance_time DELTA DOUBLE
        container/cpu/allocation_time DELTA DOUBLE container_name
        container/cpu/usage DELTA DOUBLE container_name
        container/cpu/utilizations DELTA DISTRIBUTION container_name
        container/memory/allocation_time DELTA DOUBLE container_name
        container/memory/usage DELTA DISTRIBUTION container_name
        container/memory/utilizations DELTA DISTRIBUTION container_name
        container/network/received_bytes_count DELTA INT64 kind
        container/network/sent_bytes_count DELTA INT64 kind
        container/startup_latencies DELTA DISTRIBUTION container_name
        infrastructure/cloudsql/connection_latencies DELTA DISTRIBUTION
        infrastructure/cloudsql/connection_refused_count DELTA INT64
        infrastructure/cloudsql/connection_request_count DELTA INT64
        """,
    ),
    (
        _SQL,
        _DATABASE,
        """
        active_directory/domain_reachable GAUGE BOOL
        auto_failover_request_count DELTA INT64
        available_for_failover GAUGE INT64
        cpu/reserved_cores GAUGE DOUBLE
        cpu/usage_time DELTA DOUBLE
        cpu/utilization GAUGE DOUBLE
        data_cache/bytes_used GAUGE INT64
        data_cache/quota GAUGE INT64
        disk/bytes_used GAUGE INT64
        disk/bytes_used_by_data_type GAUGE INT64 data_type
        disk/provisioning/iops GAUGE INT64
        disk/quota GAUGE INT64
        disk/read_bytes_count DELTA INT64
        disk/read_ops_count DELTA INT64
        disk/utilization GAUGE DOUBLE
        disk/write_bytes_count DELTA INT64
        disk/write_ops_count DELTA INT64
        instance_state GAUGE BOOL state
        memory/components GAUGE DOUBLE component
        memory/quota GAUGE INT64
        memory/total_usage GAUGE INT64
        memory/usage GAUGE INT64
        memory/utilization GAUGE DOUBLE
        mysql/aborted_connects_count GAUGE INT64
        mysql/innodb/deadlocks_count GAUGE INT64
        mysql/innodb_buffer_pool_pages_dirty GAUGE INT64
        mysql/innodb_buffer_pool_pages_free GAUGE INT64
        mysql/innodb_buffer_pool_pages_total GAUGE INT64
        mysql/innodb_data_fsyncs DELTA INT64
        mysql/innodb_os_log_fsyncs DELTA INT64
        mysql/max_connections GAUGE INT64
        mysql/max_used_connections GAUGE INT64
        mysql/open_tables GAUGE INT64
        mysql/queries DELTA INT64
        mysql/questions DELTA INT64
        mysql/received_bytes_count DELTA INT64
        mysql/sent_bytes_count DELTA INT64
        mysql/slow_queries_count GAUGE INT64
        mysql/threads GAUGE INT64 thread_kind
        mysql/uptime GAUGE INT64
        network/connections GAUGE INT64
        network/received_bytes_count DELTA INT64
        network/sent_bytes_count DELTA INT64 destination
        postgresql/backends_in_wait GAUGE INT64 backend_type wait_event wait_event_type
        postgresql/blocks_read_count DELTA INT64 database source
        postgresql/deadlock_count DELTA INT64 database
        postgresql/max_connections GAUGE INT64
        postgresql/new_connection_count DELTA INT64 database
        postgresql/num_backends GAUGE INT64 database
        postgresql/num_backends_by_application GAUGE INT64 application
        postgresql/num_backends_by_state GAUGE INT64 database state
        postgresql/statements_executed_count DELTA INT64 database operation_type
        postgresql/temp_bytes_written_count DELTA INT64 database
        postgresql/temp_files_written_count DELTA INT64 database
        postgresql/transaction_count DELTA INT64 database transaction_type
        postgresql/transaction_id_count DELTA INT64 action
        postgresql/transaction_id_utilization GAUGE DOUBLE
        postgresql/tuple_size GAUGE INT64 database tuple_state
        postgresql/tuples_processed_count DELTA INT64 database operation_type
        postgresql/vacuum/oldest_transaction_age GAUGE INT64 oldest_transaction_type
        postgresql/write_ahead_log/flushed_bytes_count DELTA INT64
        postgresql/write_ahead_log/inserted_bytes_count DELTA INT64
        postgresql/write_ahead_log/written_bytes_count DELTA INT64
        replication/replica_lag GAUGE DOUBLE
        replication/state GAUGE BOOL state
        state GAUGE STRING
        swap/bytes_used GAUGE INT64
        up GAUGE INT64
        uptime DELTA DOUBLE
        """,
    ),
    (
        _UPTIME,
        ("cloud_run_revision", "uptime_url"),
        """
        check_passed GAUGE BOOL check_id checked_resource_id checker_location
        content_mismatch GAUGE BOOL check_id checked_resource_id checker_location
        error_code GAUGE STRING check_id checked_resource_id checker_location error_code
        http_status GAUGE INT64 check_id checked_resource_id checker_location
        request_latency GAUGE DOUBLE check_id checked_resource_id checker_location
        time_until_ssl_cert_expires GAUGE INT64 check_id checked_resource_id checker_location
        """,
    ),
    (
        _LOGGING,
        (),
        """
        byte_count DELTA INT64 log severity
        log_entry_count DELTA INT64 log severity
        """,
    ),
)


def _metrics() -> Iterator[Metric]:
    for prefix, resources, rows in _ROWS:
        for row in filter(None, map(str.split, rows.splitlines())):
            name, kind, value_type, *labels = row
            yield Metric(
                type=f"{prefix}{name}", kind=kind, value_type=value_type, resources=resources, labels=tuple(labels)
            )


METRICS: dict[str, Metric] = {metric.type: metric for metric in _metrics()}
"""By their types."""

_NUMBERS = frozenset({"DOUBLE", "INT64"})
_CHANGES, _ANY = frozenset({"CUMULATIVE", "DELTA"}), frozenset({"DELTA", "GAUGE"})
_DISTRIBUTION, _BOOL = frozenset({"DISTRIBUTION"}), frozenset({"BOOL"})
ALIGNERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "ALIGN_COUNT": (_ANY, _NUMBERS | _BOOL),
    "ALIGN_COUNT_FALSE": (frozenset({"GAUGE"}), _BOOL),
    "ALIGN_COUNT_TRUE": (frozenset({"GAUGE"}), _BOOL),
    "ALIGN_DELTA": (_CHANGES, _NUMBERS | _DISTRIBUTION),
    "ALIGN_FRACTION_TRUE": (frozenset({"GAUGE"}), _BOOL),
    "ALIGN_INTERPOLATE": (frozenset({"GAUGE"}), _NUMBERS),
    "ALIGN_MAX": (_ANY, _NUMBERS),
    "ALIGN_MEAN": (_ANY, _NUMBERS),
    "ALIGN_MIN": (_ANY, _NUMBERS),
    "ALIGN_NEXT_OLDER": (frozenset({"GAUGE"}), _NUMBERS | _BOOL | _DISTRIBUTION | {"STRING"}),
    "ALIGN_PERCENTILE_05": (_ANY, _DISTRIBUTION),
    "ALIGN_PERCENTILE_50": (_ANY, _DISTRIBUTION),
    "ALIGN_PERCENTILE_95": (_ANY, _DISTRIBUTION),
    "ALIGN_PERCENTILE_99": (_ANY, _DISTRIBUTION),
    "ALIGN_PERCENT_CHANGE": (_ANY, _NUMBERS),
    "ALIGN_RATE": (_CHANGES, _NUMBERS),
    "ALIGN_STDDEV": (_ANY, _NUMBERS),
    "ALIGN_SUM": (_ANY, _NUMBERS | _DISTRIBUTION),
}
"""Aligner -> the kinds and the value types that it is for.

https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#Aligner
"""


def exists(name: str) -> bool | None:
    """Whether Google has a metric; None for one of a service that is not listed here."""
    if name in METRICS:
        return True
    return False if name.startswith((*LISTED, *OWN)) else None
