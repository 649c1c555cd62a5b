"""The syntax that filters of Logging and of Monitoring have in common: https://google.aip.dev/160.

What is not known here is refused in a sentence, never ignored: a filter that means something else here than at Google
would be worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS = ("=~", "!~", "!=", ">=", "<=", "=", ">", "<", ":")
_TOKEN = re.compile(
    r"""\s*(?:--[^\n]*\s*)*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>=~|!~|!=|>=|<=|[=<>:])
      | (?P<mark>[(),]|-(?=[\w("']))
      | (?P<dot>\.)
      | (?P<word>[^\s()"'=<>!:,.]+)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class BadFilter(ValueError):  # noqa: N818 - what it is
    """Not a filter, or one with a part that has no meaning in the local cloud."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments, such as `log_id("x")`."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator, and what it is compared with.

    Attributes:
        path: the names of the field, outermost first.
        operator: one of `OPERATORS`.
        value: a text, or a function of one.
    """

    path: tuple[str, ...]
    operator: str
    value: str | Call


@dataclass(frozen=True, slots=True)
class Not:
    """A negated condition."""

    operand: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions that must all hold."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Of what one must hold."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text alone, to be found in any field."""

    value: str


Node: TypeAlias = "Comparison | Call | Text | Not | AllOf | AnyOf"


def parse(text: str) -> Node:
    """Reads a filter.

    Raises:
        BadFilter: it is none; the message says where.
    """
    return _Parser(text).filter()


def evaluate(node: Node, leaf: Callable[[Comparison | Call | Text], bool]) -> bool:
    """Whether a filter holds.

    Args:
        node: the filter.
        leaf: decides on a part without operators.
    """
    match node:
        case AllOf(operands):
            return all(evaluate(operand, leaf) for operand in operands)
        case AnyOf(operands):
            return any(evaluate(operand, leaf) for operand in operands)
        case Not(operand):
            return not evaluate(operand, leaf)
        case _:
            return leaf(node)


def leaves(node: Node) -> list[Comparison | Call | Text]:
    """The parts of a filter without operators."""
    match node:
        case AllOf(operands) | AnyOf(operands):
            return [leaf for operand in operands for leaf in leaves(operand)]
        case Not(operand):
            return leaves(operand)
        case _:
            return [node]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        self._next = 0
        position, end = 0, len(re.sub(r"(--[^\n]*|\s)+\Z", "", text))
        while position < end:
            found = _TOKEN.match(text, position)
            if not found or not found.lastgroup:
                raise self._error(position)
            self._tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            position = found.end()

    def filter(self) -> Node:
        node = self._all()
        if self._next < len(self._tokens):
            raise self._error()
        return node

    def _all(self) -> Node:
        """AND, or nothing between two parts; it binds less than OR."""
        operands = [self._any()]
        while self._next < len(self._tokens) and not self._is(")") and not self._is(","):
            self._take("AND")
            operands.append(self._any())
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _any(self) -> Node:
        operands = [self._not()]
        while self._take("OR"):
            operands.append(self._not())
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def _not(self) -> Node:
        if self._take("NOT") or self._take("-"):
            return Not(self._not())
        if self._take("("):
            node = self._all()
            self._expect(")")
            return node
        return self._restriction()

    def _restriction(self) -> Node:
        names = [self._name()]
        while self._take("."):
            names.append(self._name())
        token = self._peek()
        if token and token.kind == "operator":
            self._next += 1
            return self._comparison(tuple(names), token.text)
        if token and token.text == "(" and token.kind == "mark":
            return self._call(".".join(names))
        return Text(".".join(names))

    def _comparison(self, path: tuple[str, ...], operator: str) -> Node:
        if not self._take("("):
            return Comparison(path, operator, self._value())
        node = self._values(path, operator)
        self._expect(")")
        return node

    def _values(self, path: tuple[str, ...], operator: str) -> Node:
        """`field = ("a" OR "b")`: each value for itself."""
        both: list[Node] = []
        while True:
            either: list[Node] = [self._one_of(path, operator)]
            while self._take("OR"):
                either.append(self._one_of(path, operator))
            both.append(either[0] if len(either) == 1 else AnyOf(tuple(either)))
            if self._is(")"):
                return both[0] if len(both) == 1 else AllOf(tuple(both))
            self._take("AND")

    def _one_of(self, path: tuple[str, ...], operator: str) -> Node:
        if self._take("NOT") or self._take("-"):
            return Not(self._one_of(path, operator))
        if self._take("("):
            node = self._values(path, operator)
            self._expect(")")
            return node
        return Comparison(path, operator, self._value())

    def _value(self) -> str | Call:
        token, word = self._peek(), self._dotted()
        return self._call(word) if token and token.kind == "word" and self._is("(") else word

    def _dotted(self) -> str:
        """A text in quotes, or a word, which may have dots in it."""
        token, names = self._peek(), [self._name()]
        while token and token.kind == "word" and self._take("."):
            names.append(self._name())
        return ".".join(names)

    def _call(self, name: str) -> Call:
        self._expect("(")
        arguments: list[str] = []
        while not self._is(")"):
            arguments.append(self._dotted())
            if not self._is(")"):
                self._expect(",")
        self._expect(")")
        return Call(name, tuple(arguments))

    def _name(self) -> str:
        token = self._peek()
        if not token or token.kind not in {"string", "word"} or token.text in {"AND", "OR", "NOT"}:
            if token and token.text == "-":  # a number below zero
                self._next += 1
                return f"-{self._name()}"
            raise self._error()
        self._next += 1
        if token.kind == "word":
            return token.text
        return re.sub(r"\\([\\\"'nrt])", lambda it: _ESCAPES.get(it[1], it[1]), token.text[1:-1])

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind != "string" and token.text == text

    def _take(self, text: str) -> bool:
        found = self._is(text)
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(expected=text)

    def _error(self, position: int | None = None, expected: str = "") -> BadFilter:
        token = self._peek()
        at = position if position is not None else token.at if token else len(self._text)
        line, column = self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)
        found = f"token '{token.text if token else self._text[at : at + 20]}'" if at < len(self._text) else "the end"
        wanted = f", expected '{expected}'" if expected else ""
        return BadFilter(f"syntax error at line {line}, column {column}, {found}{wanted}")
