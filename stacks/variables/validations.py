"""Validation blocks from the rules of single settings: the same conditions, and the same words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from stacks.settings.field_rules import AtMost, OneOf, Pattern, Range, Rule
from stacks.variables.language import literal, text
from stacks.variables.values import name_of, variable

README: Final = "README.md#variables"


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
        remedy: What to do.
        url: The page.
        found: What is wrong, where that is only a part of the value.
    """
    return f"{name}{found}: {rule}. {remedy[0].upper()}{remedy[1:]}. See {url}"


def field_validations(path: str, field: FieldInfo) -> list[Validation]:
    """The validations of one setting, of its entries where it is a list or a map, and of a map's keys.

    Args:
        path: The setting, such as `access.emails`.
        field: Its field in the model.
    """
    whole = [_validation(path, rule) for rule in _rules(field.metadata)]
    if get_origin(field.annotation) is Literal:
        whole.append(_validation(path, _choice(get_args(field.annotation))))
    kinds = get_args(field.annotation)
    match get_origin(field.annotation):
        case _list if _list is list:
            parts = {variable(path): kinds[0]}
        case _dict if _dict is dict:
            parts = {f"keys({variable(path)})": kinds[0], f"values({variable(path)})": kinds[1]}
        case _:
            parts = {}
    return [
        *whole,
        *(_validation_of_each(path, entries, rule) for entries, kind in parts.items() for rule in _rules_of(kind)),
    ]


def _rules(metadata: Iterable[object]) -> Iterable[Rule]:
    return (one.func for one in metadata if isinstance(one, AfterValidator) and isinstance(one.func, Rule))


def _rules_of(kind: Any) -> Iterable[Rule]:  # noqa: ANN401 - a type, or a form of typing
    return _rules(get_args(kind)[1:]) if get_origin(kind) is Annotated else ()


def _choice(values: tuple[str, ...]) -> OneOf:
    named = " or ".join(f"'{value}'" for value in values)
    return OneOf(values=values, rule=f"it is {named}", remedy=f"write one of these, such as {values[0]}", url=README)


def _validation(path: str, rule: Rule) -> Validation:
    # Terraform shows the value of what a condition names; of a whole object it tells the number of attributes.
    section, _, key = path.partition(".")
    value = f'lookup(var.{section}, "{key}", null)' if rule.hidden else variable(path)
    return Validation(
        condition=_condition(rule, value),
        error_message=message(name_of(path), text(rule.rule), text(rule.remedy), rule.url),
    )


def _validation_of_each(path: str, entries: str, rule: Rule) -> Validation:
    condition = _condition(rule, "entry")
    refused = f"${{jsonencode([for entry in {entries} : entry if !({condition})])}}"
    return Validation(
        condition=f"alltrue([for entry in {entries} : {condition}])",
        error_message=message(
            name_of(path),
            text(rule.rule),
            text(rule.remedy),
            rule.url,
            found="" if rule.hidden else f" has {refused}",
        ),
    )


def _condition(rule: Rule, value: str) -> str:
    match rule:
        case Pattern():
            matches = f"can(regex({literal(_anchored(rule.regex))}, {value}))"
            if rule.unless:
                matches += f" && !can(regex({literal(_anchored(rule.unless))}, {value}))"
            return f"contains({literal(list(rule.always))}, {value}) || {matches}" if rule.always else matches
        case Range():
            within = f"{value} >= {rule.minimum} && {value} <= {rule.maximum}"
            # A number of Terraform's may have a fraction.
            whole = f"floor({value}) == {value}"
            exception = "" if rule.exception is None else f"{value} == {rule.exception} || "
            return f"{whole} && ({exception}{within})"
        case OneOf():
            return f"contains({literal(list(rule.values))}, {value})"
        case AtMost():
            return f"length({value}) <= {rule.count}"
        case _:
            raise TypeError(f"{type(rule).__name__} has no counterpart in Terraform's language")


def _anchored(regex: str) -> str:
    # `$` is the end of the text and no line before it: https://github.com/google/re2/wiki/Syntax
    return f"^(?:{regex})$"
