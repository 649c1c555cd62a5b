"""The standing charges of each type of resource, those for time without calls, as its settings have it; no prices.

https://cloud.google.com/run/pricing, https://cloud.google.com/sql/pricing, https://cloud.google.com/storage/pricing,
https://cloud.google.com/secret-manager/pricing, https://cloud.google.com/scheduler/pricing,
https://cloud.google.com/stackdriver/pricing, https://cloud.google.com/artifact-registry/pricing
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from stacks.alerts import LOG_ENTRIES, THRESHOLDS
from stacks.settings.model import Settings

Billed: TypeAlias = Callable[[Settings], Iterator[str]]


def _service(settings: Settings) -> Iterator[str]:
    service = settings.service
    kept = max(service.min_instances, int(settings.monitoring.uptime_check))
    size = f"{service.cpu} CPU and {service.memory} each, all the time: their CPU is always on"
    if service.min_instances:
        yield f"{kept} instance{'s' * (kept > 1)} of Cloud Run, service.min_instances, {size}"
    elif kept:
        yield f"an instance of Cloud Run, which monitoring.uptime_check keeps from ending, {size}"
    else:
        yield "no instance of Cloud Run; one that nobody calls any more is billed until it ends, after up to 15 minutes"


def _instance(settings: Settings) -> Iterator[str]:
    database = settings.database
    twice = ", twice for the standby (database.high_availability)" if database.high_availability else ""
    yield f"the machine of Cloud SQL, {database.tier}, all the time{twice}"
    disk = f"{database.disk_gb} GB" if database.disk_gb else "10 GB at first; it grows by itself and never shrinks"
    yield f"its disk, {disk}{twice}"
    if database.backups:
        yield f"its backups, {database.backup_retention} daily ones of what changed"
    if database.point_in_time_recovery:
        yield "the log of its changes, of 7 days (database.point_in_time_recovery)"


def _bucket(settings: Settings) -> Iterator[str]:
    yield "the bucket's objects"
    if settings.bucket.versioning:
        days = settings.bucket.delete_noncurrent_after_days
        yield f"their versions that were overwritten or deleted, for {days} days (bucket.versioning)"
    if settings.bucket.soft_delete_days:
        days = settings.bucket.soft_delete_days
        yield f"what was deleted for good, for {days} days more (bucket.soft_delete_days)"
    if settings.state.bucket:
        yield "the bucket of the state, some MB"


def _secrets(_: Settings) -> Iterator[str]:
    yield "the versions of the secrets that are not destroyed"


def _images(_: Settings) -> Iterator[str]:
    yield "the images in Artifact Registry"


def _schedules(settings: Settings) -> Iterator[str]:
    schedules = [settings.jobs.gc_schedule, settings.jobs.archive_schedule]
    if settings.jobs.enabled and (count := sum(map(bool, schedules))):
        yield f"{count} schedule{'s' * (count > 1)} of Cloud Scheduler, and the runs of their jobs"


def _alerts(settings: Settings) -> Iterator[str]:
    if settings.monitoring.enabled:
        count = len(THRESHOLDS) + len(LOG_ENTRIES) + settings.monitoring.uptime_check
        yield f"{count} alerts, by their conditions and the time series that these read"


def _uptime(settings: Settings) -> Iterator[str]:
    if settings.monitoring.uptime_check:
        yield "the uptime check, by how often and from how many places it asks"


BILLED: Final[Mapping[str, Billed]] = {
    "google_cloud_run_v2_service": _service,
    "google_sql_database_instance": _instance,
    "google_storage_bucket": _bucket,
    "google_artifact_registry_repository": _images,
    "google_secret_manager_secret_version": _secrets,
    "google_cloud_scheduler_job": _schedules,
    "google_monitoring_alert_policy": _alerts,
    "google_monitoring_uptime_check_config": _uptime,
}
FREE: Final = frozenset(
    {
        "google_cloud_run_v2_job",  # billed while it runs
        "google_cloud_run_v2_job_iam_member",
        "google_cloud_run_v2_service_iam_member",
        "google_iap_web_cloud_run_service_iam_member",
        "google_monitoring_dashboard",
        "google_monitoring_notification_channel",
        "google_project_iam_member",
        "google_project_service",
        "google_secret_manager_secret",
        "google_secret_manager_secret_iam_member",
        "google_service_account",
        "google_service_account_iam_member",
        "google_sql_database",
        "google_sql_user",
        "google_storage_bucket_iam_member",
        "random_password",
        "terraform_data",
    }
)


def billed(settings: Settings) -> list[str]:
    """Returns the standing charges, a line each."""
    return [line for lines in BILLED.values() for line in lines(settings)]
