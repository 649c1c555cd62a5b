"""Cloud Run: jobs, their executions as they are remembered, and who may run them.

A job that cannot be made as asked for is kept, as Google keeps it, and so is one whose execution by a token has failed.
Left out: the 30 days for which a deleted job is remembered. What runs is the platform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from localcloud.resource import OWNER, Cloud, Kept, Resource, crud, name_problem, now, policy, protected, stable_number
from localcloud.services import revision
from localcloud.services.iam import Target
from localcloud.services.run import API, LIMITS, PROBE, RunMember, answered, condition, full_name
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.resource import ApiDefault

EXECUTION = "run.execution"
"""Under which executions are remembered, by their full names."""
_TASK = "template.template"
_TOKENS = {"run_execution_token": True, "start_execution_token": False}
"""Which begin an execution of that suffix, and whether the job is ready when that has ended: google >= 7.42."""
_LONGEST_NAME = 63


class Job(Resource):
    """A job: containers that end by themselves."""

    type = "google_cloud_run_v2_job"
    api = API
    permissions = crud("run.jobs")
    unset = frozenset({"effective_annotations"})
    id_format = "projects/{project}/locations/{location}/jobs/{name}"
    requires_replace = frozenset({"location", "name", "project"})
    defaults: ClassVar[Mapping[str, Value]] = {
        "deletion_protection": True,
        f"{_TASK}.max_retries": 3,
        **{f"{_TASK}.containers.startup_probe.{name}": value for name, value in PROBE.items()},
        f"{_TASK}.containers.startup_probe.http_get.path": "/",
        f"{_TASK}.containers.env.value": "",
    }
    # https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "launch_stage": "GA",
        "template.parallelism": 0,
        "template.task_count": 1,
        f"{_TASK}.execution_environment": "EXECUTION_ENVIRONMENT_GEN2",
        f"{_TASK}.service_account": "",  # the project's own, which only the cloud knows
        f"{_TASK}.timeout": "600s",
        f"{_TASK}.containers.resources": [{"limits": {**LIMITS}}],
        f"{_TASK}.containers.resources.limits": {**LIMITS},
    }
    imports = (id_format, "{project}/{location}/{name}", "{location}/{name}")

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/run/docs/create-jobs has them."""
        yield from name_problem(
            config,
            "name",
            r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "At most 63 lower-case letters, digits and hyphens, a letter first, no hyphen last: "
            "https://cloud.google.com/run/docs/create-jobs",
        )
        tokens = [token for token in _TOKENS if config.get(token) is not None]
        if len(tokens) > 1:
            yield Problem(
                "Conflicting configuration arguments", f"Either of them: {' and '.join(tokens)}.", (tokens[0],)
            )
        for token in tokens:
            length = len(f"{text(config, 'name')}-{text(config, token)}")
            if length > _LONGEST_NAME and text(config, token):
                detail = f"The job's name, a hyphen and the token have {length} characters, at most {_LONGEST_NAME}."
                yield Problem("The name of the execution is too long", detail, (token,))

    def permissions_for(self, verb: str, values: Object) -> tuple[str, ...]:
        """The caller must be able to act as the job's account: https://cloud.google.com/run/docs/reference/iam/roles."""
        permissions = super().permissions_for(verb, values)
        return (*permissions, "iam.serviceAccounts.actAs") if verb in {"create", "update"} else permissions

    def conflict(self, cloud: Cloud, values: Object) -> str:
        """Cloud Run's words."""
        del cloud
        return f"Error creating Job: googleapi: Error 409: Resource '{text(values, 'name')}' already exists."

    def read(self, values: Object) -> Object:
        """The volume and the mount of Cloud SQL come back last, and all mount paths of it as /cloudsql."""
        outer: list[Value] = [
            {**execution, "template": [*map(answered, objects(execution, "template"))]}
            for execution in objects(values, "template")
        ]
        return {**super().read(values), "template": outer}

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The image's registry and the network are looked at before anything is made."""
        del config
        revision.require_places(cloud, text(planned, "location"), task_of(planned))

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Makes a job, and executes it where a token says so."""
        del config
        return self._execute(cloud, planned, self._write(cloud, planned, None))

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Changes what the next execution runs, which a new token begins; those under way go on as they began."""
        del config, prior
        return self._execute(
            cloud, planned, self._write(cloud, planned, cloud.store.get(self.type, self.identify(planned)))
        )

    def _execute(self, cloud: Cloud, planned: Object, computed: Object) -> Object:
        """Executes the job by the name that its token says, and may wait for the end; returns what is then computed.

        A token that has been used begins nothing:
        https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs#Job.FIELDS.run_execution_token
        """
        for token, wait in _TOKENS.items():
            if suffix := text(planned, token):
                name = self.identify(planned)
                cloud.store.put(self.type, name, planned | computed | {"id": name})
                try:
                    cloud.platform.run_job(
                        planned | computed | {"id": name}, f"{text(planned, 'name')}-{suffix}", wait=wait
                    )
                except Refused as refused:
                    raise Kept(computed | self._ran(cloud, name), *refused.problems) from refused
                computed |= self._ran(cloud, name)
        return computed

    def _ran(self, cloud: Cloud, name: str) -> Object:
        found = cloud.store.get(self.type, name) or {}
        return {key: found.get(key) for key in ("execution_count", "latest_created_execution")}

    def _write(self, cloud: Cloud, values: Object, before: Object | None) -> Object:
        project, name, time = text(values, "project"), self.identify(values), now()
        generation = str(int(text(before, "generation") or 0) + 1)
        task = task_of(values)
        problems = tuple(
            Problem(f"Error waiting to create Job: Error code 13, message: {it.summary}", it.detail, ("template",))
            for it in revision.missing(cloud, project, task, runs=False)
        )
        execution = {**objects(values, "template")[0]}
        execution["template"] = [{**task, "service_account": revision.account_of(cloud, project, task)}]
        computed: Object = {
            "conditions": [condition("ResourcesAvailable", time, problems)],
            "create_time": text(before, "create_time") or time,
            "creator": OWNER,
            "delete_time": "",
            "etag": f'"{stable_number(name, generation, digits=12)}"',
            "execution_count": at(before, "execution_count") or 0,
            "expire_time": "",
            "generation": generation,
            "last_modifier": OWNER,
            "latest_created_execution": [*objects(before, "latest_created_execution")],
            "observed_generation": generation,
            "reconciling": False,
            "template": [execution],
            "terminal_condition": [condition("Ready", time, problems)],
            "uid": stable_number(name, digits=21),
            "update_time": time,
        }
        if problems:
            raise Kept(computed, *problems)
        return computed

    def delete(self, cloud: Cloud, values: Object) -> None:
        """Its executions go with it. Protection is the default."""
        if values.get("deletion_protection") is not False:
            message = "cannot destroy job without setting deletion_protection=false and running `terraform apply`"
            raise protected(message, "deletion_protection")
        cloud.platform.remove_job(values)

    def forget(self, cloud: Cloud, values: Object) -> None:
        """Its executions."""
        for execution in executions(cloud, self.identify(values)):
            cloud.store.remove(EXECUTION, text(execution, "name"))


class JobMember(RunMember):
    """A role on one job."""

    type = "google_cloud_run_v2_job_iam_member"
    permissions = policy("run.jobs")
    of = Job
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {"name": full_name(Job)}


def task_of(job: Object) -> Object:
    """The template of a job's tasks."""
    return objects(objects(job, "template")[0], "template")[0]


def target(job: Object) -> Target:
    """A job, for `iam.allows`."""
    name = text(job, "id")
    return Target(
        project=text(job, "project"),
        name=name,
        type=f"{API.name}/Job",
        member_type=JobMember.type,
        member_key=name,
    )


def executions(cloud: Cloud, job: str) -> list[Object]:
    """Returns the stored executions of a job, oldest first.

    Args:
        cloud: where.
        job: the full name of the job.
    """
    found = (one for one in cloud.store.all(EXECUTION) if text(one, "name").startswith(f"{job}/executions/"))
    return sorted(found, key=lambda one: text(one, "createTime"))


def note_execution(cloud: Cloud, execution: Object) -> None:
    """Remembers an execution, in the form of Google's interface, and tells its job of it.

    https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions
    """
    name = text(execution, "name")
    job_name, _, short = name.partition("/executions/")
    if cloud.store.get(Job.type, job_name) is None:
        return
    cloud.store.put(EXECUTION, name, execution)
    known = executions(cloud, job_name)
    cloud.store.merge(Job.type, job_name, {"execution_count": len(known)})
    if text(known[-1], "name") == name:
        times: Object = {
            "completion_time": text(execution, "completionTime"),
            "create_time": text(execution, "createTime"),
        }
        cloud.store.merge(Job.type, job_name, {"latest_created_execution": [{**times, "name": short}]})
