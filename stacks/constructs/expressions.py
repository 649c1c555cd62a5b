"""Terraform's own language in the document: for what depends on an input that Terraform alone may know.

An expression is a string of that language without `${` and `}`. What it reads of the inputs stands in `locals`: so the
document of a settings file and that of a module differ in the locals and nowhere else.
"""

from cdktf import IResolvable, TerraformLocal, Token
from constructs import Construct


def local(scope: Construct, name: str, value: object) -> str:
    """Gives a value a name that expressions can use.

    Args:
        scope: Any construct of the stack.
        name: Name of the local value, unique in the stack.
        value: A plain value or a Terraform token.

    Returns:
        The expression `local.NAME`.
    """
    element = TerraformLocal(scope, f"local-{name}", value)
    element.override_logical_id(name)
    return f"local.{name}"


def string(expression: str) -> str:
    """The expression as a string argument."""
    return f"${{{expression}}}"


def number(expression: str) -> float:
    """The expression as a number argument."""
    return Token.as_number(string(expression))


def flag(expression: str) -> IResolvable:
    """The expression as a boolean argument."""
    return Token.as_any(string(expression))
