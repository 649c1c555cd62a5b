"""The URLs of the service: the one that Cloud Run gives it, and the one that people have."""

from constructs import Construct

from stacks.constructs.expressions import local, string
from stacks.constructs.workload import Workload


class Urls(Construct):
    """Where the service is found; the URLs are local values, for what is made of them.

    Attributes:
        service: The expression of the URL that Cloud Run gives the service.
        public: The expression of another URL under which people reach it, or the empty string.
        base: Where people open the service.
    """

    def __init__(self, scope: Construct, id_: str, *, prefix: str, service_url: str, public_url: str) -> None:
        super().__init__(scope, id_)
        self.service = local(self, f"{prefix}service_url", service_url)
        self.public = local(self, f"{prefix}public_url", public_url)
        self.base = string(local(self, f"{prefix}base_url", string(f"coalesce({self.public}, {self.service})")))

    def tell(self, workload: Workload) -> None:
        """Tells MLflow the names by which it is called; it refuses a Host and an Origin that it was not told.

        Source: https://mlflow.org/docs/latest/self-hosting/security/network/
        """
        both = f"compact([{self.service}, {self.public}])"
        workload.set(
            {
                "MLFLOW_SERVER_ALLOWED_HOSTS": string(f'join(",", [for url in {both} : split("://", url)[1]])'),
                "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": string(f'join(",", {both})'),
            }
        )
