"""The variables of the modules, from the fields of the settings."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cdktf import TerraformStack, TerraformVariable
from pydantic.fields import FieldInfo

from stacks.hcl import literal, type_of
from stacks.settings.cross_rules import CROSS_RULES
from stacks.settings.derived import FLAGS
from stacks.settings.language import Reference
from stacks.settings.model import Settings, section_of
from stacks.settings.section import Section
from stacks.variables.foundation import ExistingDatabase, Foundation, Names
from stacks.variables.validations import Validation, cross_validation, field_validations
from stacks.variables.values import derived, effective, name_of

REQUIRED: Final = object()
"""The default of a variable that has none."""

LEFT_OUT: Final = {
    "state": "The backend of the state is the business of the configuration that calls the module.",
    "iap": "Identity-Aware Proxy as the gate is a module of its own, [modules/iap](modules/iap/README.md).",
}
"""Sections of the settings that are no variables, and why."""

WITHOUT_IAP: Final = {"iap.groups": "[]"}
"""What holds in those modules of the settings that they leave out, where a rule of theirs reads one."""

WITH_IAP: Final = {"iap.enabled": "true"}
"""The same of the module with Identity-Aware Proxy."""

OF_OAUTH2_PROXY: Final = frozenset(
    {
        *("access.adc_tokens", "access.extra_audiences", "access.gcloud_tokens", "access.invoker_iam_disabled"),
        *("access.oauth_client_id", "access.sign_in_rotation", "names.oauth2_proxy_secret"),
    }
)
"""Attributes of variables that the module with Identity-Aware Proxy does not have."""

_REQUIRED_HERE: Final = "access.oauth_client_id"
"""Where oauth2-proxy is the only gate; a settings file has a choice."""

SECRET: Final = "oauth_client_secret"  # noqa: S105 - its name
"""The one variable that is no setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """One variable of a module.

    Attributes:
        type: Its type constraint.
        default: A plain value, or REQUIRED.
        attributes: Of an object: type, default and description of each attribute.
        ephemeral: Whether it is kept out of plan and state.
    """

    type: str
    description: str
    default: Any = REQUIRED
    attributes: "dict[str, Variable]" = field(default_factory=dict[str, "Variable"])
    validations: tuple[Validation, ...] = ()
    ephemeral: bool = False

    def block(self) -> dict[str, Any]:
        """The variable as a block of a JSON document; none takes null, so null gives the default."""
        attributes = "".join(f"\n- {name}: {one.description}" for name, one in self.attributes.items())
        return {
            "type": self.type,
            "description": self.description + attributes,
            "nullable": False,
            **({} if self.default is REQUIRED else {"default": self.default}),
            **({"ephemeral": True} if self.ephemeral else {}),
            **({"validation": [one.block() for one in self.validations]} if self.validations else {}),
        }


def declare(stack: TerraformStack, variables: dict[str, Variable]) -> None:
    """Declares variables in a stack."""
    for name, variable in variables.items():
        element = TerraformVariable(stack, name)
        for argument, content in variable.block().items():
            element.add_override(argument, content)


def module_variables() -> dict[str, Variable]:
    """The variables of the module, in alphabetical order."""
    return _with_rules(_whole(), effective, fixed=WITHOUT_IAP)


def iap_variables() -> dict[str, Variable]:
    """The variables of the module with Identity-Aware Proxy, in alphabetical order."""
    variables = _whole(without={*OF_OAUTH2_PROXY, *WITH_IAP}, left_out=LEFT_OUT.keys() - {"iap"})
    return _with_rules({name: one for name, one in variables.items() if name != SECRET}, effective, fixed=WITH_IAP)


ABSENT: Final = ("bucket", "database", "names")
"""Variables of the module that the service module does not have, or not so."""

_MADE: Final = tuple(
    f"names.{name}" for name in ("service", "backend_store_uri_secret", "encryption_key_secret", "oauth2_proxy_secret")
)
"""Names of what the service module makes; its callers name the prefix alone."""


def service_variables() -> dict[str, Variable]:
    """The variables of the service module, in alphabetical order: what it stands on is named, not described."""
    kept = {name: variable for name, variable in _whole().items() if name not in ABSENT}
    fields = Foundation.model_fields
    named = {name: _plain(name, fields[name]) for name in ("bucket_name", "service_account_email")}
    variables = kept | named | {"database": _group("database", ExistingDatabase, required=True)}
    reference: Reference = lambda path: derived(path) if path in _MADE else effective(path)  # noqa: E731
    return _with_rules(variables, reference, made=_MADE, fixed=WITHOUT_IAP)


def _whole(*, without: Collection[str] = (), left_out: Collection[str] = tuple(LEFT_OUT)) -> dict[str, Variable]:
    """The variables of the module, without the rules between them.

    Args:
        without: Attributes that they do not have.
        left_out: Sections that are no variables.
    """
    found = {SECRET: secret(), "names": _group("names", Names, required=False, without=without)}
    for name, info in Settings.model_fields.items():
        section = section_of(name)
        if name in left_out:
            continue
        if name == "project":
            found |= {f"project_{key}": _plain(f"project.{key}", inner) for key, inner in _fields(name)}
        elif section:
            found[name] = _group(name, section, required=info.is_required(), without=without)
        else:
            found[name] = _plain(name, info)
    return found


def _with_rules(
    variables: dict[str, Variable],
    reference: Reference,
    *,
    made: tuple[str, ...] = (),
    fixed: Mapping[str, str],
) -> dict[str, Variable]:
    """The variables, in alphabetical order, with each rule between settings whose settings they are, or are fixed."""
    attributes = {f"{name}.{key}" for name, one in variables.items() for key in one.attributes}
    known = {*variables, *attributes, *made, *fixed}
    found = {name: list(one.validations) for name, one in variables.items()}
    for rule in CROSS_RULES:
        variable = rule.variable or name_of(rule.field).split(".")[0]
        reads = {path if path in made else name_of(path) for path in rule.reads()}
        if reads <= known and variable in variables and rule.field not in fixed:
            found[variable].append(cross_validation(rule, lambda path: fixed.get(path) or reference(path)))
    return {name: replace(one, validations=tuple(found[name])) for name, one in sorted(variables.items())}


def secret() -> Variable:
    """The one variable that is no setting, in the modules and in a deployment.

    Source: https://developer.hashicorp.com/terraform/language/block/variable#ephemeral
    """
    return Variable(
        type="string",
        description="Secret of the OAuth client. Ephemeral, in no plan or state: give it at every plan and apply, such"
        " as in TF_VAR_oauth_client_secret. It is written when access.sign_in_rotation rises.",
        ephemeral=True,
        validations=(
            Validation(
                condition=f'can(regex("^[!-~]{{8,}}$", var.{SECRET}))',
                error_message="The secret has at least 8 printable characters and no space: copy it from the OAuth"
                " client's page in the console.",
            ),
        ),
    )


def _fields(section: str) -> Iterable[tuple[str, FieldInfo]]:
    model = section_of(section)
    return model.model_fields.items() if model else ()


def _plain(path: str, info: FieldInfo) -> Variable:
    default = REQUIRED if info.is_required() or path == _REQUIRED_HERE else info.get_default(call_default_factory=True)
    description = info.description or ""
    if path in FLAGS:
        dev, prod = map(literal, FLAGS[path])
        description += f' Default: {dev}; with profile = "prod": {prod}.'
        default = None
    return Variable(
        type=type_of(info.annotation),
        description=description,
        default=default,
        validations=tuple(field_validations(path, info)),
    )


def _group(name: str, section: type[Section], *, required: bool, without: Collection[str] = ()) -> Variable:
    fields = sorted(section.model_fields.items())
    attributes = {key: _plain(f"{name}.{key}", info) for key, info in fields if f"{name}.{key}" not in without}
    inner = ", ".join(f"{key} = {_attribute(one)}" for key, one in attributes.items())
    return Variable(
        type=f"object({{ {inner} }})",
        description=(section.__doc__ or "").strip(),
        default=REQUIRED if required else {},
        attributes=attributes,
        validations=tuple(validation for one in attributes.values() for validation in one.validations),
    )


def _attribute(one: Variable) -> str:
    if one.default is REQUIRED:
        return one.type
    return f"optional({one.type})" if one.default is None else f"optional({one.type}, {literal(one.default)})"
