"""The public may call the service, and has no other right."""

import re
from collections.abc import Iterator

from _policy import UNKNOWN, Block, policy

SERVICE = "google_cloud_run_v2_service_iam_member"
JOB = "google_cloud_run_v2_job_iam_member"
INVOKER = "roles/run.invoker"
PUBLIC = ("allUsers", "allAuthenticatedUsers")
# https://cloud.google.com/iam/docs/service-agents
IAP = re.compile(r"serviceAccount:service-\d+@gcp-sa-iap\.iam\.gserviceaccount\.com")


@policy(
    check_id="CKV_MLFLOW_7",
    name="The public, or Identity-Aware Proxy, has run.invoker on the service alone, and nobody else has a grant there",
    resources=["google_*_iam_member"],
    guide="https://cloud.google.com/run/docs/authenticating/public",
)
def public_invoker(grant: Block) -> Iterator[str]:
    """The service's own proxy signs people in, so the service is public to Google; nothing else of the project is.

    A grant to one member on the service would suggest a gate that is not there: the public one lets everybody through.
    Where Identity-Aware Proxy is the gate, it calls as its own account.
    """
    role, member = grant.value("role"), grant.value("member")
    if grant.kind == SERVICE:
        known = member in (PUBLIC[0], UNKNOWN) or bool(isinstance(member, str) and IAP.fullmatch(member))
        if role not in (INVOKER, UNKNOWN) or not known:
            yield f"grant {INVOKER} to {PUBLIC[0]} or the proxy here and nothing else (found: {role} to {member})"
    else:
        if member in PUBLIC:
            yield f"{member} is everybody on the internet: name a group, a person or a service account"
        if role == INVOKER and grant.kind != JOB:
            yield f"grant {INVOKER} on the Cloud Run service, or on a job to its schedule's account, not here"
