"""Cloud Storage: buckets and who may use them.

Left out: versions, retention and lifecycle of objects. The objects themselves are the platform's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from localcloud.resource import Cloud, Resource, crud, name_problem, now, policy
from localcloud.services import kms
from localcloud.services.iam import Member, Target
from localcloud.terraform.model import Object, Problem, Refused, Value, at, objects, text
from localcloud.terraform.schema import Corrections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.resource import ApiDefault

_RULES = "https://cloud.google.com/storage/docs/buckets#naming"
_MULTI_REGIONS = {"ASIA", "EU", "US"}


class Bucket(Resource):
    """A bucket. Its name is unique in the world, whatever the project."""

    type = "google_storage_bucket"
    permissions = crud("storage.buckets")
    corrections = Corrections(max_items={"lifecycle_rule": 100})
    id_format = "{name}"
    requires_replace = frozenset(
        {"custom_placement_config", "enable_object_retention", "hierarchical_namespace", "location", "name", "project"}
    )
    defaults: ClassVar[Mapping[str, Value]] = {"force_destroy": False, "storage_class": "STANDARD"}
    # https://cloud.google.com/storage/docs/json_api/v1/buckets
    api_defaults: ClassVar[Mapping[str, ApiDefault]] = {
        "public_access_prevention": "inherited",
        "rpo": lambda bucket: "DEFAULT" if text(bucket, "location").upper() in _MULTI_REGIONS else "",
        "soft_delete_policy": lambda _: [{"effective_time": now(), "retention_duration_seconds": 604_800}],
        "soft_delete_policy.effective_time": lambda _: now(),
        "uniform_bucket_level_access": False,
    }
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {
        "location": lambda bucket: text(bucket, "location").upper()
    }
    imports = ("{project}/{name}", "{name}")

    def validate(self, config: Object) -> Iterator[Problem]:
        """Names as https://cloud.google.com/storage/docs/buckets#naming has them."""
        yield from name_problem(
            config,
            "name",
            r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]",
            f"3-63 lower-case letters, digits, hyphens, underscores and dots; letter or digit at both ends: {_RULES}",
        )
        name = text(config, "name")
        if name.startswith("goog") or "google" in name or re.fullmatch(r"\d+(\.\d+){3}", name):
            yield Problem(
                f"name {name!r} is reserved", f"No 'goog' at the start, no 'google', no IP address: {_RULES}", ("name",)
            )

    @override
    def conflict(self, cloud: Cloud, values: Object) -> str:
        del cloud, values
        return (
            "googleapi: Error 409: Your previous request to create the named bucket succeeded and you already own it., "
            "conflict"
        )

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """Its key must be one that the service may use: https://cloud.google.com/storage/docs/encryption/customer-managed-keys."""
        del config
        key = text(planned, "encryption", 0, "default_kms_key_name")
        where = {"project": text(planned, "project"), "location": text(planned, "location")}
        kms.require_use(cloud, key, service="storage", **where)

    def read(self, values: Object) -> Object:
        """Soft delete that is off has no time at which it began."""
        policies = objects(values, "soft_delete_policy")
        off: Object = {"effective_time": "", "retention_duration_seconds": 0}
        shown: list[Value] = [off if at(one, "retention_duration_seconds") == 0 else one for one in policies]
        return {**super().read(values), "soft_delete_policy": shown}

    def create(self, cloud: Cloud, planned: Object, config: Object) -> Object:
        """Its addresses follow from its name."""
        del config
        name, time = text(planned, "name"), now()
        cloud.platform.create_bucket(planned)
        return {
            "project_number": int(cloud.project_number(text(planned, "project"))),
            "self_link": f"https://www.googleapis.com/storage/v1/b/{name}",
            "time_created": time,
            "updated": time,
            "url": f"gs://{name}",
        }

    def update(self, cloud: Cloud, planned: Object, config: Object, prior: Object) -> Object:
        """Returns the time, the only computed attribute that changes."""
        del cloud, planned, config, prior
        return {"updated": now()}

    def delete(self, cloud: Cloud, values: Object) -> None:
        """It must be empty, unless `force_destroy` is true."""
        cloud.platform.remove_bucket(values)


class BucketMember(Member):
    """A role on one bucket."""

    type = "google_storage_bucket_iam_member"
    permissions = policy("storage.buckets")
    target = "bucket"
    normalized: ClassVar[Mapping[str, Callable[[Object], Value]]] = {
        "bucket": lambda member: f"b/{text(member, 'bucket').removeprefix('b/')}"
    }

    def target_name(self, values: Object) -> str:
        """The bucket, as the provider writes it in ids."""
        return f"b/{text(values, 'bucket').removeprefix('b/')}"

    @override
    def owner(self, values: Object) -> tuple[str, str]:
        return Bucket.type, text(values, "bucket").removeprefix("b/")

    def precheck(self, cloud: Cloud, planned: Object, config: Object) -> None:
        """The bucket must exist."""
        super().precheck(cloud, planned, config)
        name = text(planned, "bucket").removeprefix("b/")
        if not cloud.store.get(Bucket.type, name):
            raise Refused(
                Problem(f"Error 404: the bucket {name} does not exist", "Refer to the bucket resource's name.")
            )


def target(bucket: Object) -> Target:
    """A bucket, for `iam.allows`. Conditions see the bucket, never an object in it."""
    name = text(bucket, "name")
    return Target(
        project=text(bucket, "project"),
        name=f"projects/_/buckets/{name}",
        type="storage.googleapis.com/Bucket",
        member_type=BucketMember.type,
        member_key=f"b/{name}",
    )
