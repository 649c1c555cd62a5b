"""A rule between settings, as data."""

from dataclasses import dataclass

from stacks.settings.functions import Silent
from stacks.settings.language import Call, Expression, Operand, Read, Setting, node, text, words
from stacks.settings.problems import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossRule:
    """A rule between settings; it is silent where it cannot be evaluated because a value is refused elsewhere.

    Attributes:
        name: Its name in tests.
        field: The setting at which a problem is reported.
        holds: A condition.
        rule: What must hold, in words.
        remedy: What to do otherwise.
        url: The page that says so.
        wrong: What is wrong, where that is not the whole setting.
        variable: The variable whose block it is, where that is not the field's: two variables whose validations name
            each other are a cycle.
    """

    name: str
    field: str
    holds: Expression
    rule: Expression
    remedy: Expression
    url: Expression
    wrong: Expression | None = None
    variable: str = ""

    def problem(self, read: Read) -> Problem | None:
        """The problem, if the rule can be evaluated and does not hold."""
        try:
            if self.holds.evaluate(read):
                return None
        except Silent:
            return None
        rule, remedy, url = (words.evaluate(read) for words in (self.rule, self.remedy, self.url))
        value = (self.wrong or Setting(self.field)).evaluate(read)
        return Problem(field=self.field, value=value, rule=rule, remedy=remedy, url=url)

    def reads(self) -> set[str]:
        """The settings that it reads."""
        return {path for tree in (self.holds, self.rule, self.remedy, self.url) for path in tree.reads()}


def rule(  # noqa: PLR0913, PLR0917 - each is a part of a rule
    name: str,
    field: str,
    holds: Expression,
    must: Operand,
    remedy: Operand,
    url: Operand,
    *,
    wrong: Operand | None = None,
    variable: str = "",
) -> CrossRule:
    """A rule; its words are texts whose gaps are settings, or trees. The arguments are its attributes."""
    return CrossRule(
        name=name,
        field=field,
        holds=holds,
        rule=words(must),
        remedy=words(remedy),
        url=words(url),
        wrong=None if wrong is None else node(wrong),
        variable=variable,
    )


def length_fits(  # noqa: PLR0913, PLR0917 - each is a part of the rule
    name: str,
    field: str,
    said: str,
    value: Expression,
    longest: int,
    url: str,
    *,
    shorten: Operand,
    variable: str = "",
) -> CrossRule:
    """A rule on a length, whose words have gaps for `{value}`, `{length}` and `{longest}`."""
    length = Call("length", value)
    return rule(
        name,
        field,
        length <= longest,
        text(said, value=value, length=length, longest=longest),
        text("{shorten} by {excess}", shorten=words(shorten), excess=length - longest),
        url,
        variable=variable,
    )
