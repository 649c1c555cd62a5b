"""The language of rules between settings: one tree, evaluated in Python and written as Terraform's expression.

A tree reads settings by their paths. Whoever evaluates it says what stands there, and whoever writes it says which
expression does. What cannot be evaluated, since there is no such key or no match, raises Silent; Terraform's `try` and
`can` do the same there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, TypeAlias

from stacks import hcl
from stacks.settings.functions import FUNCTIONS, Silent

Read: TypeAlias = Callable[[str], Any]
"""What stands at a path of the settings; raises Silent where that cannot be used."""

Reference: TypeAlias = Callable[[str], str]
"""The expression of what stands at a path."""


class Expression(ABC):
    """A node of a tree; Python's operators make further ones."""

    @abstractmethod
    def evaluate(self, read: Read) -> Any:  # noqa: ANN401 - a value of a settings file
        """The value.

        Raises:
            Silent: There is none.
        """

    @abstractmethod
    def terraform(self, reference: Reference) -> str:
        """The expression in Terraform's language."""

    @abstractmethod
    def reads(self) -> Iterator[str]:
        """The paths of the settings that it reads."""

    def template(self, reference: Reference) -> str:
        """The value as a template, such as an error message."""
        return f"${{{self.terraform(reference)}}}"

    def capitalized(self) -> Expression:
        """The same text as the beginning of a sentence."""
        return self

    def __le__(self, other: Operand) -> Expression:
        return Call("<=", self, other)

    def __lt__(self, other: Operand) -> Expression:
        return Call("<", self, other)

    def __add__(self, other: Operand) -> Expression:
        return Call("+", self, other)

    def __sub__(self, other: Operand) -> Expression:
        return Call("-", self, other)

    def __mul__(self, other: Operand) -> Expression:
        return Call("*", self, other)

    def __truediv__(self, other: Operand) -> Expression:
        return Call("/", self, other)

    def __mod__(self, other: Operand) -> Expression:
        return Call("%", self, other)

    def __and__(self, other: Operand) -> Expression:
        return Call("&&", self, other)

    def __or__(self, other: Operand) -> Expression:
        return Call("||", self, other)

    def __invert__(self) -> Expression:
        return Call("!", self)

    def __getitem__(self, key: Operand) -> Expression:
        return Call("at", self, key)


Operand: TypeAlias = Expression | str | int | Mapping[str, Any] | Sequence[Any]


def node(value: Operand) -> Expression:
    """A plain value as a tree."""
    return value if isinstance(value, Expression) else Constant(value)


@dataclass(frozen=True, slots=True)
class Setting(Expression):
    """The effective value at a path: the given one, or the default that depends on other settings."""

    path: str

    def evaluate(self, read: Read) -> Any:  # noqa: ANN401
        """Returns what stands there."""
        return read(self.path)

    def terraform(self, reference: Reference) -> str:
        """Returns the reference."""
        return reference(self.path)

    def reads(self) -> Iterator[str]:
        """Returns the path."""
        yield self.path


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """A plain value."""

    value: Any

    def evaluate(self, read: Read) -> Any:  # noqa: ANN401, ARG002
        """Returns the value."""
        return self.value

    def terraform(self, reference: Reference) -> str:  # noqa: ARG002
        """Returns the literal."""
        return hcl.literal(self.value)

    def template(self, reference: Reference) -> str:  # noqa: ARG002
        """Returns the value as it is."""
        return hcl.text(str(self.value))

    def reads(self) -> Iterator[str]:
        """Returns nothing."""
        yield from ()


class Call(Expression):
    """A function of other nodes, all of which are evaluated first."""

    def __init__(self, name: str, *operands: Operand) -> None:
        self.name = name
        self.operands = tuple(map(node, operands))

    def evaluate(self, read: Read) -> Any:  # noqa: ANN401
        """Returns the function's value."""
        values = [operand.evaluate(read) for operand in self.operands]
        try:
            return FUNCTIONS[self.name][0](*values)
        except (LookupError, StopIteration):
            raise Silent from None

    def terraform(self, reference: Reference) -> str:
        """Returns the call."""
        return FUNCTIONS[self.name][1].format(*(operand.terraform(reference) for operand in self.operands))

    def reads(self) -> Iterator[str]:
        """Returns what the operands read."""
        for operand in self.operands:
            yield from operand.reads()


@dataclass(frozen=True, slots=True)
class If(Expression):
    """One of two nodes; the other is not evaluated."""

    condition: Expression
    then: Expression
    otherwise: Expression

    def evaluate(self, read: Read) -> Any:  # noqa: ANN401
        """Returns the value of the node that is chosen."""
        return (self.then if self.condition.evaluate(read) else self.otherwise).evaluate(read)

    def terraform(self, reference: Reference) -> str:
        """Returns the conditional expression."""
        condition, then, otherwise = (part.terraform(reference) for part in self._parts())
        return f"({condition} ? {then} : {otherwise})"

    def reads(self) -> Iterator[str]:
        """Returns what the three nodes read."""
        for part in self._parts():
            yield from part.reads()

    def capitalized(self) -> Expression:
        """Capitalizes both."""
        return If(self.condition, self.then.capitalized(), self.otherwise.capitalized())

    def _parts(self) -> tuple[Expression, Expression, Expression]:
        return self.condition, self.then, self.otherwise


@dataclass(frozen=True, slots=True)
class Fallback(Expression):
    """A node, or where that cannot be evaluated, another one."""

    first: Expression
    second: Expression

    def evaluate(self, read: Read) -> Any:  # noqa: ANN401
        """Returns the first value that there is."""
        try:
            return self.first.evaluate(read)
        except Silent:
            return self.second.evaluate(read)

    def terraform(self, reference: Reference) -> str:
        """Returns a `try`."""
        return f"try({self.first.terraform(reference)}, {self.second.terraform(reference)})"

    def reads(self) -> Iterator[str]:
        """Returns what both read."""
        yield from self.first.reads()
        yield from self.second.reads()


@dataclass(frozen=True, slots=True)
class Text(Expression):
    """A text with gaps: `{service.memory}` is a setting, `{name}` one of the nodes that are given beside it."""

    form: str
    gaps: Mapping[str, Expression] = field(default_factory=dict[str, Expression])

    def evaluate(self, read: Read) -> str:
        """Returns the text with its gaps filled."""
        return "".join(part if isinstance(part, str) else str(part.evaluate(read)) for part in self._parts())

    def terraform(self, reference: Reference) -> str:
        """Returns the template as a quoted string."""
        parts = (
            hcl.literal(part)[1:-1] if isinstance(part, str) else part.template(reference) for part in self._parts()
        )
        return f'"{"".join(parts)}"'

    def template(self, reference: Reference) -> str:
        """Returns the template without quotes."""
        parts = self._parts()
        return "".join(hcl.text(part) if isinstance(part, str) else part.template(reference) for part in parts)

    def reads(self) -> Iterator[str]:
        """Returns what the gaps read."""
        for part in self._parts():
            if not isinstance(part, str):
                yield from part.reads()

    def capitalized(self) -> Expression:
        """Capitalizes the first letter."""
        gaps = {name: gap.capitalized() for name, gap in self.gaps.items() if self.form.startswith(f"{{{name}}}")}
        return Text(self.form[0].upper() + self.form[1:], {**self.gaps, **gaps})

    def _parts(self) -> list[str | Expression]:
        parts: list[str | Expression] = []
        for said, name, _, _ in Formatter().parse(self.form):
            parts += [said] if said else []
            if name:
                gap = self.gaps.get(name, Setting(name))
                parts += gap._parts() if isinstance(gap, Text) else [gap]  # noqa: SLF001 - of the same class
        return parts


def text(form: str, **gaps: Operand) -> Text:
    """A text whose gaps are settings, or nodes that are given by name."""
    return Text(form, {name: node(gap) for name, gap in gaps.items()})


def choose(condition: Expression, then: Operand, otherwise: Operand) -> Expression:
    """One of two; texts are templates."""
    return If(condition, words(then), words(otherwise))


def words(value: Operand) -> Expression:
    """A text whose gaps are settings, or a tree."""
    return Text(value) if isinstance(value, str) else node(value)


def equal(one: Operand, other: Operand) -> Expression:
    """Whether two values are the same; `==` compares trees."""
    return Call("==", one, other)
