"""Validation blocks from the rules: the same conditions, and the same words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from stacks.hcl import text
from stacks.settings.cross_rule import CrossRule
from stacks.settings.field_rules import OneOf, Rule
from stacks.settings.language import Reference
from stacks.variables.values import given, name_of

REFERENCE: Final = "REFERENCE.md#variables"


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """One `validation` block.

    Attributes:
        condition: An expression that is true for what is accepted.
        error_message: A template of the words for what is not.
    """

    condition: str
    error_message: str

    def block(self) -> dict[str, Any]:
        """The block in a JSON document."""
        return {"condition": f"${{{self.condition}}}", "error_message": self.error_message}


def message(name: str, rule: str, remedy: str, url: str, *, found: str = "") -> str:
    """The template of an error message: where, what must hold, what to do, and the page that says so.

    Args:
        name: The variable, or the attribute of one, such as `database.tier`.
        rule: A template, as the other two.
        remedy: What to do, as a sentence.
        url: The page.
        found: What is wrong, where that is only a part of the value.
    """
    return f"{name}{found}: {rule}. {remedy}. See {url}"


def field_validations(path: str, field: FieldInfo) -> list[Validation]:
    """The validations of one setting, of its entries where it is a list or a map, of a map's keys and lists.

    Args:
        path: The setting, such as `access.emails`.
        field: Its field in the model.
    """
    whole = [_validation(path, rule) for rule in _rules(field.metadata)]
    if get_origin(field.annotation) is Literal:
        whole.append(_validation(path, _choice(get_args(field.annotation))))
    kinds = get_args(field.annotation)
    origin = get_origin(field.annotation)
    parts: dict[str, Any] = {}
    if origin is list:
        parts = {given(path): kinds[0]}
    elif origin is dict:
        parts = {f"keys({given(path)})": kinds[0], f"values({given(path)})": kinds[1]}
        if get_origin(kinds[1]) is list:
            parts[f"flatten(values({given(path)}))"] = get_args(kinds[1])[0]
    return [
        *whole,
        *(_validation_of_each(path, entries, rule) for entries, kind in parts.items() for rule in _rules_of(kind)),
    ]


def cross_validation(rule: CrossRule, reference: Reference) -> Validation:
    """The validation of a rule between settings; where it cannot be evaluated it has nothing to say.

    Args:
        rule: The rule.
        reference: The expression behind each setting that it reads.
    """
    rule_, remedy, url = (said.template(reference) for said in (rule.rule, rule.remedy.capitalized(), rule.url))
    return Validation(
        condition=f"try({rule.holds.terraform(reference)}, true)",
        error_message=message(name_of(rule.field), rule_, remedy, url),
    )


def _rules(metadata: Iterable[object]) -> Iterable[Rule]:
    return (one for one in metadata if isinstance(one, Rule))


def _rules_of(kind: Any) -> Iterable[Rule]:  # noqa: ANN401 - a type, or a form of typing
    return _rules(get_args(kind)[1:]) if get_origin(kind) is Annotated else ()


def _choice(values: tuple[str, ...]) -> OneOf:
    named = " or ".join(f"'{value}'" for value in values)
    return OneOf(values=values, rule=f"it is {named}", remedy=f"write one of these, such as {values[0]}", url=REFERENCE)


def _validation(path: str, rule: Rule) -> Validation:
    # Terraform shows the value of what a condition names; of a whole object it tells the number of attributes.
    section, _, key = path.partition(".")
    value = f'lookup(var.{section}, "{key}", null)' if rule.hidden else given(path)
    return Validation(condition=rule.condition(value), error_message=_message(path, rule))


def _validation_of_each(path: str, entries: str, rule: Rule) -> Validation:
    condition = rule.condition("entry")
    refused = f"${{jsonencode([for entry in {entries} : entry if !({condition})])}}"
    return Validation(
        condition=f"alltrue([for entry in {entries} : {condition}])",
        error_message=_message(path, rule, found="" if rule.hidden else f" has {refused}"),
    )


def _message(path: str, rule: Rule, found: str = "") -> str:
    remedy = text(rule.remedy[0].upper() + rule.remedy[1:])
    return message(name_of(path), text(rule.rule), remedy, rule.url, found=found)
