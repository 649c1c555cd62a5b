"""The variables of the modules, from the fields of the settings."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic.fields import FieldInfo

from stacks.settings.model import PROD_DEFAULTS, Settings, section_of
from stacks.settings.section import Section
from stacks.variables.cross_validations import NAMED_BY_PREFIX, cross_validations
from stacks.variables.foundation import ExistingDatabase, Foundation, Names
from stacks.variables.language import literal, type_of
from stacks.variables.validations import Validation, field_validations

REQUIRED: Final = object()
"""The default of a variable that has none."""

LEFT_OUT: Final = {
    "state": "The backend of the state is the business of the configuration that calls the module.",
}
"""Sections of the settings that are no variables, and why."""

SECRET: Final = "oauth_client_secret"  # noqa: S105 - its name
"""The one variable that is no setting."""

SECRET_VALIDATION: Final = Validation(
    condition=f'can(regex("^[!-~]{{8,}}$", var.{SECRET}))',
    error_message="The secret has at least 8 printable characters and no space: copy it from the OAuth client's page in"
    " the console.",
)


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


def module_variables() -> dict[str, Variable]:
    """The variables of the module, in alphabetical order."""
    found = {SECRET: _secret(), "names": _group("names", Names, required=False)}
    for name, info in Settings.model_fields.items():
        section = section_of(name)
        if name in LEFT_OUT:
            continue
        if name == "project":
            found |= {f"project_{key}": _plain(f"project.{key}", inner) for key, inner in _fields(name)}
        elif section:
            found[name] = _group(name, section, required=info.is_required())
        else:
            found[name] = _plain(name, info)
    return dict(sorted(found.items()))


ABSENT: Final = ("bucket", "database", "names")
"""Variables of the module that the service module does not have, or not so."""


def service_variables() -> dict[str, Variable]:
    """The variables of the service module, in alphabetical order: what it stands on is named, not described."""
    whole = module_variables()
    kept = {name: _without_absent(variable) for name, variable in whole.items() if name not in ABSENT}
    named_by_prefix = tuple(one.validation() for one in NAMED_BY_PREFIX)
    kept["name"] = replace(kept["name"], validations=(*kept["name"].validations, *named_by_prefix))
    fields = Foundation.model_fields
    named = {name: _plain(name, fields[name]) for name in ("bucket_name", "service_account_email")}
    return dict(sorted((kept | named | {"database": _group("database", ExistingDatabase, required=True)}).items()))


def _without_absent(variable: Variable) -> Variable:
    """A variable without the rules on what the service module does not make."""
    absent = [f"var.{name}" for name in ABSENT]
    rules = tuple(one for one in variable.validations if not any(name in one.condition for name in absent))
    return replace(variable, validations=rules)


def _secret() -> Variable:
    return Variable(
        type="string",
        description="Secret of the OAuth client. Ephemeral, in no plan or state: give it at every plan and apply."
        " It is written when access.sign_in_rotation rises.",
        ephemeral=True,
        validations=(SECRET_VALIDATION,),
    )


def _fields(section: str) -> Iterable[tuple[str, FieldInfo]]:
    model = section_of(section)
    return model.model_fields.items() if model else ()


def _plain(path: str, info: FieldInfo) -> Variable:
    default = REQUIRED if info.is_required() else info.get_default(call_default_factory=True)
    section, _, key = path.rpartition(".")
    description = info.description or ""
    if key in PROD_DEFAULTS.get(section, {}):
        description += f' Default: {literal(default)}; with profile = "prod": {literal(PROD_DEFAULTS[section][key])}.'
        default = None
    return Variable(
        type=type_of(info.annotation),
        description=description,
        default=default,
        validations=(*field_validations(path, info), *cross_validations(path)),
    )


def _group(name: str, section: type[Section], *, required: bool) -> Variable:
    attributes = {key: _plain(f"{name}.{key}", info) for key, info in sorted(section.model_fields.items())}
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
