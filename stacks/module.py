"""The modules that platform teams call: variables to inputs, outputs; no provider, no backend."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from cdktf import App, IResolvable, TerraformStack, Token
from constructs import Construct
from pydantic.fields import FieldInfo

from stacks import versions
from stacks.addresses import JOBS
from stacks.constructs.expressions import local, string
from stacks.hcl import type_of
from stacks.inputs import Account, FoundationInputs, Inputs, InstanceInputs, Placement
from stacks.kinds import apis_of, types_in
from stacks.names import CloudNames
from stacks.outputs import add_outputs, addresses
from stacks.resources import moved_in
from stacks.serving import Serving
from stacks.settings.database import Database
from stacks.settings.iap import Iap
from stacks.settings.model import Settings, section_of
from stacks.settings.section import Section
from stacks.tracking import TrackingServer
from stacks.variables.declarations import (
    ABSENT,
    LEFT_OUT,
    OF_OAUTH2_PROXY,
    SECRET,
    declare,
    iap_variables,
    module_variables,
    service_variables,
)
from stacks.variables.values import cloud_names, effective

Document = dict[str, Any]


def _versions(google: str) -> Document:
    return {
        "terraform": {
            "required_version": versions.TERRAFORM,
            "required_providers": {
                "google": {"source": "hashicorp/google", "version": google},
                "random": {"source": "hashicorp/random", "version": versions.RANDOM},
            },
        }
    }


VERSIONS: Final = _versions(versions.GOOGLE)

WAITING: Final = "waiting/db_upgrade.json"
"""Below module/: what lets an apply run `db-upgrade` and wait for it.

Where it is used it gets the name that Terraform reads, db_upgrade_override.tf.json: a scanner would take it for a job.
"""

_MAIN: Final = ("check", "ephemeral", "locals", "resource")
_DROPPED: Final = ("//", "terraform")
"""CDKTF's notes, and a backend, which is the caller's."""


class ModuleStack(TerraformStack):
    """A tracking server as a module: account, instance, bucket, and the service on them.

    Args:
        iap: Whether Identity-Aware Proxy is its gate. A module cannot leave that to a variable: the argument is unknown
            to the oldest provider that the other documents fit, and Terraform has no condition for that.
    """

    def __init__(self, scope: Construct, id_: str, *, iap: bool) -> None:
        super().__init__(scope, id_)
        declare(self, iap_variables() if iap else module_variables())
        sections = Settings.model_fields.keys() - LEFT_OUT.keys()
        settings = _behind_iap(sections) if iap else _of_variables(sections)
        server = TrackingServer(
            self,
            "tracking-server",
            inputs=Inputs(
                placement=Placement.of(settings, cloud_names()),
                settings=settings,
                oauth_client_secret="" if iap else f"var.{SECRET}",
            ),
        )
        add_outputs(self, addresses(server.foundation, server.serving))


class ServiceModuleStack(TerraformStack):
    """The service as a module of its own: on an account, an instance and a bucket that exist."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        declare(self, service_variables())
        connection = "var.database.connection_name"
        name = string(local(self, "instance", string(f'split(":", {connection})[2]')))
        project = string(local(self, "instance_project", string(f'split(":", {connection})[0]')))
        email = string(effective("service_account_email"))
        foundation = FoundationInputs(
            account=Account(email=email, member=f"serviceAccount:{email}"),
            bucket_name=_variable("bucket_name", "string"),
            instance=InstanceInputs(
                name=name,
                own=name,
                turn="0",
                resource=f"projects/{project}/instances/{name}",
                id=f"{project}:{name}",
                project_id=project,
                connection_name=string(connection),
                engine=local(self, "database_engine", string("var.database.engine")),
                address='""',
                authority='""',
                database=_variable("database.name", "string"),
                user=_variable("database.user", "string"),
            ),
        )
        settings = _of_variables(Settings.model_fields.keys() - {*LEFT_OUT, *ABSENT})
        database = Database.model_construct(
            login=_variable("database.login", "string"), rotation=_variable("database.rotation", "number")
        )
        inputs = Inputs(
            placement=Placement.of(settings, CloudNames.of("${var.name}")),
            settings=settings.model_copy(update={"database": database}),
            oauth_client_secret=f"var.{SECRET}",
        )
        serving = Serving(self, "serving", foundation=foundation, inputs=inputs)
        add_outputs(self, addresses(foundation, serving))


def module_files() -> dict[str, Document]:
    """The documents of the modules by their path below module/."""
    app = App(skip_validation=True)
    modules = {
        "": ModuleStack(app, "module", iap=False),
        "modules/iap/": ModuleStack(app, "iap", iap=True),
        "modules/service/": ServiceModuleStack(app, "service"),
    }
    apis = apis_of({kind for stack in modules.values() for kind in types_in(stack)})
    files = {
        f"{folder}{name}": document
        for folder, stack in modules.items()
        for name, document in split(stack.to_terraform(), moved_in(stack)).items()
    }
    files["modules/iap/versions.tf.json"] = _versions(versions.GOOGLE_WITH_IAP)
    # A module of its own: what the others depend on cannot be their output.
    return {**files, "modules/apis/outputs.tf.json": _apis_module(apis)}


def waiting() -> Document:
    """A file to put beside a document of the module or of the stacks: an apply then migrates before it deploys.

    No variant of the documents, since the argument is unknown to the oldest provider that these fit, and Terraform has
    no condition for that: https://developer.hashicorp.com/terraform/language/files/override
    """
    token = string('each.key == "db-upgrade" ? substr(sha256(each.value.image), 0, 8) : null')
    google = {**VERSIONS["terraform"]["required_providers"]["google"], "version": versions.GOOGLE_WAITS}
    return {
        "terraform": {"required_providers": {"google": google}},
        "resource": {JOBS.type: {JOBS.logical_id: {"run_execution_token": token}}},
    }


def _apis_module(apis: list[str]) -> Document:
    description = "The Google APIs that must be on in the project before the module is applied."
    return {"output": {"apis": {"value": apis, "description": description}}}


def split(document: Document, moved: list[dict[str, str]] | None = None) -> dict[str, Document]:
    """The files of a module, by their names.

    Args:
        document: What was synthesized.
        moved: Its `moved` blocks, in a file of their own: checkov, as of 3.3, parses no JSON document that has some.

    Raises:
        ValueError: It has a section that belongs into no file.
    """
    for body in (body for named in document["resource"].values() for body in named.values()):
        body.pop("//", None)
    if unknown := document.keys() - {*_MAIN, *_DROPPED, "output", "variable"}:
        raise ValueError(f"the module has no file for {', '.join(sorted(unknown))}")
    return {
        "main.tf.json": {name: document[name] for name in _MAIN if name in document},
        "outputs.tf.json": {"output": document["output"]},
        "variables.tf.json": {"variable": document["variable"]},
        "versions.tf.json": VERSIONS,
        **({"moved.tf.json": {"moved": moved}} if moved else {}),
    }


def _behind_iap(sections: Iterable[str]) -> Settings:
    groups = _field("iap.groups", Iap.model_fields["groups"])
    settings = _of_variables(sections, without=OF_OAUTH2_PROXY)
    return settings.model_copy(update={"iap": Iap.model_construct(enabled=True, groups=groups)})


def _of_variables(names: Iterable[str], without: Collection[str] = ()) -> Settings:
    """Settings of these names whose fields are the attributes of the variables of the same names, without some."""
    fields: dict[str, Any] = {}
    for name in sorted(names):
        section = section_of(name)
        fields[name] = _section(name, section, without) if section else _field(name, Settings.model_fields[name])
    return Settings.model_construct(None, **fields)


def _section(name: str, section: type[Section], without: Collection[str]) -> Section:
    fields = ((field, info) for field, info in section.model_fields.items() if f"{name}.{field}" not in without)
    tokens = {field: _field(f"{name}.{field}", info) for field, info in fields}
    return section.model_construct(None, **tokens)


_TOKENS: Final[dict[str, Callable[[IResolvable], Any]]] = {
    "string": Token.as_string,
    "number": Token.as_number,
    "bool": Token.as_any,
    "list(string)": Token.as_list,
    "map(string)": Token.as_string_map,
    "map(list(string))": Token.as_any,
}


def _field(path: str, info: FieldInfo) -> Any:  # noqa: ANN401 - as below
    return _variable(path, type_of(info.annotation))


def _variable(path: str, type_: str) -> Any:  # noqa: ANN401 - a token in the form of a value of that type
    return _TOKENS[type_](Token.as_any(f"${{{effective(path)}}}"))
