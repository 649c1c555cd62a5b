"""The platform that the resources are made of.

The provider keeps the books: which resources there are, and what may be done to them. What then exists is the business
of a platform. This one is of paper: nothing runs, so that plans and applies take fractions of a second.
`localcloud.machine` makes the same resources of containers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.terraform.model import Object


class Platform:
    """Makes resources exist; every method takes whole objects, as Terraform's state has them.

    Creating what exists is no error, nor is removing what is gone: a call that was cut short comes again. A method
    raises `localcloud.terraform.model.Refused` where Google would answer with an error.
    """

    def run_database_server(self, instance: Object) -> None:
        """Runs the server of a google_sql_database_instance, again if its tier changed; returns when it answers."""

    def remove_database_server(self, instance: Object) -> None:
        """Removes a server with all its data; its backups stay if `retain_backups_on_delete` is true."""

    def back_up_database_server(self, instance: Object, backup: str) -> None:
        """Copies a server's data, under a name of its own."""

    def restore_database_server(self, instance: Object, source: Object, backup: str, until: str) -> None:
        """Replaces a server's data by a backup, or makes a new server of it; returns when it answers.

        Args:
            instance: the instance that gets the data.
            source: the one that the backup was taken from.
            backup: its name.
            until: a time as in 2026-01-31T10:15:00Z up to which the source's log is replayed, or "".
        """

    def create_database(self, database: Object) -> None:
        """Creates a google_sql_database in the running server of its instance."""

    def drop_database(self, database: Object) -> None:
        """Drops a google_sql_database; refuses while a client is connected, as the server does."""

    def set_password(self, user: Object, password: str) -> None:
        """Creates a google_sql_user, or gives it another password."""

    def create_account(self, user: Object, password: str) -> None:
        """Creates a google_sql_user that is a service account, without rights.

        Args:
            user: it, with its name in the database.
            password: what the server in place of Google's wants of whoever was let in.
        """

    def drop_user(self, user: Object) -> None:
        """Drops a google_sql_user; refuses while it owns something, as the server does."""

    def create_bucket(self, bucket: Object) -> None:
        """Creates a google_storage_bucket, empty."""

    def remove_bucket(self, bucket: Object) -> None:
        """Removes it; refuses while it holds objects, unless `force_destroy` is true."""

    def find_image(self, reference: str) -> None:
        """Refuses an image that is not stored here."""

    def run_service(self, service: Object, revision: str) -> None:
        """Starts a revision of a google_cloud_run_v2_service; when its probe has passed, requests go to it alone.

        Args:
            service: the service, with the template of the revision.
            revision: the revision's full name.
        """

    def remove_service(self, service: Object) -> None:
        """Ends every instance of a service."""

    def run_job(self, job: Object, execution: str, *, wait: bool) -> None:
        """Executes a google_cloud_run_v2_job once by that name; what has run is not run again.

        Args:
            job: the job.
            execution: the last part of the execution's full name.
            wait: return when it has succeeded, and refuse what has failed, with its log; else when it has begun.
        """

    def remove_job(self, job: Object) -> None:
        """Ends every execution of a google_cloud_run_v2_job."""
