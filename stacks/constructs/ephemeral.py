"""Values that exist only while Terraform runs: never in a state, a plan or the synthesized document.

The bindings have no classes for ephemeral resources, so the block is written into the stack's document.
https://developer.hashicorp.com/terraform/language/resources/ephemeral
"""

from cdktf import TerraformStack
from constructs import Construct


def random_password(scope: Construct, name: str, *, length: int) -> str:
    """Adds an ephemeral password of letters and digits.

    It is another one at every plan and apply; a write-only argument takes it only when its version number rises, and
    all that take it in one apply get the same value.

    Args:
        scope: Any construct of the stack.
        name: The address is `ephemeral.random_password.NAME`.
        length: Number of characters, 5.95 bits each.

    Returns:
        The expression of the password, to be put between `${` and `}`.
    """
    TerraformStack.of(scope).add_override(
        f"ephemeral.random_password.{name}",
        # https://github.com/hashicorp/terraform-provider-random/blob/main/docs/ephemeral-resources/password.md
        {"length": length, "special": False},
    )
    return f"ephemeral.random_password.{name}.result"
