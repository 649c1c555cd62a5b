"""Maintenance beside the service: Cloud Run jobs of the service's image, on demand or on a schedule."""

from dataclasses import dataclass
from typing import Any, Final

from cdktf import TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_google.cloud_run_v2_job import (
    CloudRunV2Job,
    CloudRunV2JobTemplate,
    CloudRunV2JobTemplateTemplate,
    CloudRunV2JobTemplateTemplateContainers,
    CloudRunV2JobTemplateTemplateContainersResources,
)
from cdktf_cdktf_provider_google.cloud_run_v2_job_iam_member import CloudRunV2JobIamMember
from cdktf_cdktf_provider_google.cloud_scheduler_job import (
    CloudSchedulerJob,
    CloudSchedulerJobHttpTarget,
    CloudSchedulerJobHttpTargetOauthToken,
    CloudSchedulerJobRetryConfig,
)
from constructs import Construct

from stacks import addresses
from stacks.constructs.expressions import key_argument, local, string
from stacks.constructs.identity import Identity, IdentityConfig
from stacks.constructs.workload import Workload
from stacks.inputs import Placement
from stacks.resources import pin
from stacks.settings import jobs as settings

_PREFIX: Final = "jobs_"
_LIMITS: Final = {"cpu": "1", "memory": "1Gi"}
_RETRIES: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsConfig:
    """Inputs of the jobs; strings may be Terraform tokens.

    Attributes:
        image: The service's image.
    """

    inputs: settings.Jobs
    placement: Placement
    image: str


class Jobs(Construct):
    """The jobs, each with an account of its own; features give them what they need, as they do the service.

    All are one resource with `for_each`, so that a plan names each: `google_cloud_run_v2_job.jobs["gc"]`. They take
    turns by a lock in the database: https://cloud.google.com/run/docs/create-jobs

    Attributes:
        workload: What their container needs.
        writers: The expression of those that write or delete artifacts.
        names: The jobs' names by what they do; empty where they are not made.
    """

    def __init__(self, scope: Construct, id_: str, *, config: JobsConfig) -> None:
        super().__init__(scope, id_)
        self._config = config
        prefix, names = config.placement.prefix, config.placement.names
        enabled = local(self, f"{prefix}jobs_enabled", config.inputs.enabled)
        every = local(self, f"{prefix}every_job", _jobs(config))
        self._jobs = local(self, f"{prefix}jobs", string(_those(every, f"nonsensitive({enabled})")))
        self._scheduled = local(
            self, f"{prefix}scheduled_jobs", string(_those(self._jobs, 'nonsensitive(job.schedule) != ""'))
        )
        self.writers = _those(self._jobs, "job.writes")
        identity = Identity(
            self,
            "identity",
            config=IdentityConfig(
                address=addresses.JOB_ACCOUNTS,
                placement=config.placement,
                account_id=names.job_account(string("each.value.account")),
                display_name="MLflow job " + string("each.key"),
                description="Runs one job beside the MLflow tracking server; used by nothing else.",
                for_each=self._jobs,
            ),
        )
        self.workload = Workload(account=identity.account, prefix=_PREFIX, for_each=self._jobs)
        self.names = string(f"{{ for key, job in {addresses.JOBS.of(prefix)} : key => job.name }}")

    def run(self) -> CloudRunV2Job:
        """Makes the jobs, when every feature has given them what they need; returns them."""
        config = self._config
        job = pin(
            CloudRunV2Job(
                self,
                "job",
                name=config.placement.names.job(string("each.key")),
                project=config.placement.project_id,
                location=config.placement.region,
                deletion_protection=False,
                template=CloudRunV2JobTemplate(
                    template=_template(config, self.workload, key_argument(self, config.placement))
                ),
                labels=config.placement.labels,
                depends_on=self.workload.ready,
                lifecycle=TerraformResourceLifecycle(ignore_changes=["client", "client_version"]),
            ),
            addresses.JOBS.of(config.placement.prefix),
        )
        self.workload.add_to(job, "template.template")
        # The bindings have no list of expressions of unknown length.
        job.add_override("template.template.containers.0.args", string("each.value.args"))
        job.add_override("for_each", string(self._jobs))
        self._schedule()
        return job

    def _schedule(self) -> None:
        placement = self._config.placement
        names, project, region = placement.names, placement.project_id, placement.region
        scheduler = Identity(
            self,
            "scheduler",
            config=IdentityConfig(
                address=addresses.SCHEDULER_ACCOUNT,
                placement=placement,
                account_id=names.job_account("cron"),
                display_name="MLflow job schedules",
                description="Starts the jobs of the MLflow tracking server that have a schedule; used by nothing else.",
                count=f"length({self._scheduled}) > 0 ? 1 : 0",
            ),
        ).account
        invoker = pin(
            CloudRunV2JobIamMember(
                self,
                "invoker",
                name=string(f"{addresses.JOBS.of(placement.prefix)}[each.key].name"),
                project=project,
                location=region,
                # Why: Cloud Scheduler starts the job as this account, which may do nothing else:
                # https://cloud.google.com/run/docs/execute/jobs-on-schedule
                role="roles/run.invoker",
                member=scheduler.member,
            ),
            addresses.JOB_INVOKER.of(placement.prefix),
        )
        schedule = pin(
            CloudSchedulerJob(
                self,
                "schedule",
                name=names.job(string("each.key")),
                project=project,
                region=region,
                description="Starts the Cloud Run job of the same name.",
                schedule=string("each.value.schedule"),
                time_zone=self._config.inputs.time_zone,
                retry_config=CloudSchedulerJobRetryConfig(retry_count=_RETRIES),
                http_target=CloudSchedulerJobHttpTarget(
                    http_method="POST",
                    uri=f"https://run.googleapis.com/v2/projects/{project}/locations/{region}/jobs/"
                    + names.job(string("each.key"))
                    + ":run",
                    oauth_token=CloudSchedulerJobHttpTargetOauthToken(service_account_email=scheduler.email),
                ),
                depends_on=[invoker],
            ),
            addresses.SCHEDULES.of(placement.prefix),
        )
        for resource in (invoker, schedule):
            resource.add_override("for_each", string(self._scheduled))


def _jobs(config: JobsConfig) -> dict[str, Any]:
    """Every job by its name: arguments, image, the end of its account's id, schedule, and whether it changes files."""
    inputs = config.inputs
    jobs: dict[str, dict[str, Any]] = {
        "archive-traces": {
            "args": ["archive-traces", _older_than(inputs.archive_older_than_days)],
            "account": "traces",
            "schedule": inputs.archive_schedule,
            "writes": True,
        },
        "db-upgrade": {"args": ["db-upgrade"], "account": "schema", "schedule": "", "writes": False},
        "gc": {
            "args": ["gc", _older_than(inputs.gc_older_than_days)],
            "account": "gc",
            "schedule": inputs.gc_schedule,
            "writes": True,
        },
    }
    return {name: {**job, "image": config.image} for name, job in jobs.items()}


def _older_than(days: float) -> str:
    return f"--older-than={Token.as_string(days)}d"


def _those(jobs: str, condition: str) -> str:
    return f"{{ for key, job in {jobs} : key => job if {condition} }}"


def _template(config: JobsConfig, workload: Workload, key: str | None) -> CloudRunV2JobTemplateTemplate:
    return CloudRunV2JobTemplateTemplate(
        service_account=workload.account.email,
        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
        encryption_key=key,
        # What a run has left, the next one does; one that fails shall be seen.
        max_retries=0,
        timeout=f"{Token.as_string(config.inputs.timeout_seconds)}s",
        containers=[
            CloudRunV2JobTemplateTemplateContainers(
                image=string("each.value.image"),
                resources=CloudRunV2JobTemplateTemplateContainersResources(limits=_LIMITS),
            )
        ],
    )
