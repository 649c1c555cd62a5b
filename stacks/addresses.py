"""The address of every resource, once, by what it is to the system.

An address is API: another one destroys the resource and makes it again. A rename is a new address here, and the old one
in MOVED.
"""

from typing import Final


class Address(str):
    """`TYPE.LOGICAL_ID`, as documents, states and import blocks name a resource."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """The resource type."""
        return self.split(".")[0]

    @property
    def logical_id(self) -> str:
        """The name within the type."""
        return self.split(".")[1]

    def of(self, prefix: str) -> "Address":
        """The address of another resource in the same role; the empty prefix is that of the first."""
        return Address(f"{self.type}.{prefix}{self.logical_id}")

    def beside(self, type_: str) -> "Address":
        """The address of a resource of another type that belongs to this one, and has its name."""
        return Address(f"{type_}.{self.logical_id}")

    def ref(self, attribute: str) -> str:
        """A string argument that is an attribute of the resource."""
        return f"${{{self}.{attribute}}}"


APIS: Final = Address("google_project_service.enabled")
IMAGES: Final = Address("google_artifact_registry_repository.images")
STATE_BUCKET: Final = Address("google_storage_bucket.state")

ACCOUNT: Final = Address("google_service_account.tracking")
INSTANCE: Final = Address("google_sql_database_instance.tracking")
DATABASE: Final = Address("google_sql_database.mlflow")
DATABASE_USER: Final = Address("google_sql_user.mlflow")
DATABASE_CLIENT: Final = Address("google_project_iam_member.cloudsql_client")
DATABASE_ACCOUNT: Final = Address("google_sql_user.account")
DATABASE_LOGIN: Final = Address("google_project_iam_member.cloudsql_instance_user")
BACKEND_STORE_URI: Final = Address("google_secret_manager_secret.backend_store_uri")
BUCKET: Final = Address("google_storage_bucket.artifacts")
ARTIFACT_WRITERS: Final = Address("google_storage_bucket_iam_member.clients_write")
ARTIFACT_VIEWER: Final = Address("google_storage_bucket_iam_member.server_reads")
ARTIFACT_LINKS: Final = Address("google_storage_bucket_iam_member.server_writes")
LINK_SIGNER: Final = Address("google_service_account_iam_member.server_signs")
OAUTH2_PROXY: Final = Address("google_secret_manager_secret.oauth2_proxy")
SERVICE: Final = Address("google_cloud_run_v2_service.tracking")
PUBLIC_INVOKER: Final = Address("google_cloud_run_v2_service_iam_member.public")
IAP_INVOKER: Final = Address("google_cloud_run_v2_service_iam_member.iap")
IAP_MEMBERS: Final = Address("google_iap_web_cloud_run_service_iam_member.members")
ARTIFACT_MANAGER: Final = Address("google_storage_bucket_iam_member.artifacts")
JOBS: Final = Address("google_cloud_run_v2_job.jobs")
JOB_ACCOUNTS: Final = Address("google_service_account.jobs")
SCHEDULER_ACCOUNT: Final = Address("google_service_account.scheduler")
JOB_INVOKER: Final = Address("google_cloud_run_v2_job_iam_member.scheduler")
SCHEDULES: Final = Address("google_cloud_scheduler_job.jobs")
ENCRYPTION_KEY: Final = Address("google_secret_manager_secret.encryption_key")
NOTIFICATION_EMAILS: Final = Address("google_monitoring_notification_channel.emails")
THRESHOLD_ALERTS: Final = Address("google_monitoring_alert_policy.thresholds")
LOG_ALERTS: Final = Address("google_monitoring_alert_policy.log_entries")
UPTIME_ALERT: Final = Address("google_monitoring_alert_policy.uptime")
UPTIME_CHECK: Final = Address("google_monitoring_uptime_check_config.tracking")
DASHBOARD: Final = Address("google_monitoring_dashboard.tracking")
ORIGIN: Final = Address("terraform_data.origin")
DESTROY_GUARD: Final = Address("terraform_data.guard")


def version_of(secret: Address) -> Address:
    """The address of the version in use of a secret."""
    return secret.beside("google_secret_manager_secret_version")


def accessor_of(secret: Address) -> Address:
    """The address of the grant to read a secret."""
    return secret.beside("google_secret_manager_secret_iam_member")


MOVED: Final[dict[str, Address]] = {}
"""Addresses that a release had, and what each is called now: https://developer.hashicorp.com/terraform/language/moved"""
