"""The `[service]` section: Cloud Run."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from image.mlflow_cloudrun import environment
from stacks.settings.field_rules import OneOf, Pattern, Range
from stacks.settings.section import DOMAIN_REGEX, Section

_RUN_DOCS: Final = "https://cloud.google.com/run/docs"
# https://github.com/distribution/reference/blob/main/reference.go: a dot, one or two underscores, or hyphens between.
_IMAGE_PART: Final = r"/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_PORT: Final = r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

Image: TypeAlias = Annotated[
    str,
    Pattern(
        regex=rf"([a-z0-9-]+-docker\.pkg\.dev({_IMAGE_PART}){{3,}}|([a-z]+\.)?gcr\.io({_IMAGE_PART}){{2,}}"
        rf"|docker\.io({_IMAGE_PART})+)"
        r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?",
        unless=r"[^@]*:latest(@.*)?|[^:@]*",
        rule="an image is REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME with a digest or a tag, and the tag is not"
        " latest",
        remedy="run `make image-push` and copy the line that it prints",
        url=f"{_RUN_DOCS}/deploying#images",
    ),
]
Memory: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"([1-9][0-9]{0,5})(Mi|Gi)",
        rule="memory is a whole number of Mi or Gi",
        remedy='write "1Gi"',
        url=f"{_RUN_DOCS}/configuring/services/memory-limits",
    ),
]
EnvName: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[A-Za-z_][A-Za-z0-9_]{0,127}",
        unless=f"{environment.OWN}|{environment.GIVEAWAY_NAME}",
        always=tuple(environment.ALLOWED),
        rule="an extra variable has letters, digits and _, holds no secret, and belongs to no program of the"
        f" container (MLFLOW_*, OAUTH*, PYTHON*, PG*, *_PROXY, ...) except {', '.join(environment.ALLOWED)}",
        remedy="remove it; what the stack sets has a setting of its own, and secrets belong in Secret Manager",
        url=f"{_RUN_DOCS}/container-contract#env-vars",
    ),
]
EnvValue: TypeAlias = Annotated[
    str,
    Pattern(
        regex=r"[^\x00]*",
        unless=rf"(?s:.*({environment.GIVEAWAY_VALUE}|{environment.REFERENCE}).*)",
        hidden=True,
        rule="a value is plain text without a password, key or token, because it is readable in every plan, and without"
        " $(NAME)",
        remedy="keep the secret in Secret Manager and let the program read it there; replace a reference by its value",
        url=f"{_RUN_DOCS}/configuring/services/environment-variables",
    ),
]
ArtifactRoot: TypeAlias = Annotated[
    str,
    Pattern(
        # The list is joined with commas.
        regex=r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[A-Za-z0-9._-]+)*",
        unless=r".*/\.{1,2}(/.*)?",
        rule="a place of artifacts is gs://BUCKET or gs://BUCKET/FOLDER, without a slash at the end",
        remedy='write "gs://acme-ml-shared/models"; the service\'s account needs roles/storage.objectViewer there',
        url="https://cloud.google.com/storage/docs/buckets#naming",
    ),
]


class Service(Section):
    """The Cloud Run service."""

    image: Image = Field(
        description="Image with a digest (prod) or a tag other than latest; `make image-push` prints it.",
        examples=["europe-west1-docker.pkg.dev/acme-ml-prod/mlflow/mlflow@sha256:" + "0123456789abcdef" * 4],
    )
    cpu: Annotated[
        str,
        OneOf(
            values=("1", "2", "4", "6", "8"),
            rule="an instance has 1, 2, 4, 6 or 8 CPUs; less than one exists only with request-based CPU, on which"
            " MLflow never finishes starting",
            remedy='write "1"; MLflow runs in one process',
            url=f"{_RUN_DOCS}/configuring/services/cpu",
        ),
    ] = Field(default="1", description="CPUs of an instance, always on: 1, 2, 4, 6 or 8.")
    memory: Memory = Field(default="1Gi", description="Memory of an instance, in Mi or Gi.")
    min_instances: Annotated[
        int,
        Range(
            minimum=0,
            maximum=1_000,
            rule="0 to 1000 instances are kept running",
            remedy="write 0 (starts on the first request) or 1 (always there)",
            url=f"{_RUN_DOCS}/configuring/min-instances",
        ),
    ] = Field(default=0, description="Instances that are kept running.")
    max_instances: Annotated[
        int,
        Range(
            minimum=1,
            maximum=1_000,
            rule="there are at most 1 to 1000 instances",
            remedy="write 1 or more; the connection budget sets the upper limit",
            url=f"{_RUN_DOCS}/configuring/max-instances",
        ),
    ] = Field(default=3, description="Maximum of instances; the database's connections limit it.")
    concurrency: Annotated[
        int,
        Range(
            minimum=1,
            maximum=1_000,
            rule="an instance takes 1 to 1000 requests at a time",
            remedy="write 80, Cloud Run's default",
            url=f"{_RUN_DOCS}/about-concurrency",
        ),
    ] = Field(default=80, description="Requests that one instance serves at a time.")
    timeout_seconds: Annotated[
        int,
        Range(
            minimum=1,
            maximum=3_600,
            rule="a request lasts at most 1 to 3600 seconds",
            remedy="write 300, Cloud Run's default",
            url=f"{_RUN_DOCS}/configuring/request-timeout",
        ),
    ] = Field(default=300, description="Longest request, in seconds.")
    ingress: Annotated[
        str,
        OneOf(
            values=(
                "INGRESS_TRAFFIC_ALL",
                "INGRESS_TRAFFIC_INTERNAL_ONLY",
                "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            ),
            rule="ingress is INGRESS_TRAFFIC_ALL, _INTERNAL_ONLY or _INTERNAL_LOAD_BALANCER",
            remedy='write "INGRESS_TRAFFIC_ALL"; oauth2-proxy is the gate',
            url=f"{_RUN_DOCS}/securing/ingress",
        ),
    ] = Field(
        default="INGRESS_TRAFFIC_ALL",
        description="Where requests may come from: `INGRESS_TRAFFIC_ALL`, `INGRESS_TRAFFIC_INTERNAL_ONLY` or"
        " `INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER`.",
    )
    env: dict[EnvName, EnvValue] = Field(
        default_factory=dict,
        description="Extra environment variables, readable in every plan; of MLflow's own, only those that"
        " `image/mlflow_cloudrun/environment.py` allows.",
        examples=[{"MLFLOW_LOGGING_LEVEL": "INFO"}],
    )
    artifact_roots: list[ArtifactRoot] = Field(
        default_factory=list,
        description="Places besides the deployment's own bucket, gs://BUCKET or gs://BUCKET/FOLDER, where experiments"
        " and models may have artifacts. Grant the service's account `roles/storage.objectViewer` there: the"
        " deployment does not.",
        examples=[["gs://acme-ml-shared/models"]],
    )
    webhooks: bool = Field(
        default=False,
        description="Let MLflow send webhooks on changes, to public https addresses that its users choose.",
    )
    artifact_links: bool = Field(
        default=False,
        description="Let clients write and read artifacts without a role at the bucket: the server hands out sessions"
        " of uploads and signed links to whoever may log a run. Its account then writes to the bucket, and signs as"
        " itself. The value must be known at plan, because it decides whether there are grants.",
    )
    public_url: Annotated[
        str,
        Pattern(
            regex=rf"(https://{DOMAIN_REGEX}({_PORT})?|http://localhost({_PORT})?)?",
            # Browsers leave the default port out of Host and Origin, which must equal this.
            unless=r"https://.*:443|http://.*:80",
            rule="a public URL is https://HOST in lower case, without a path, a slash at the end or the default port;"
            " http is for localhost alone",
            remedy='write "https://mlflow.example.com", or leave it out',
            url="https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation",
        ),
    ] = Field(
        default="",
        description="A custom domain's URL, or http://localhost:PORT in dev; default is Cloud Run's own URL.",
        examples=["https://mlflow.example.com"],
    )
