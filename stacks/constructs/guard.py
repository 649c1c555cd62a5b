"""What Terraform is kept from: a destroy that begins although data are protected, and a move that would lose them.

Both are kept in Terraform's own state, by its built-in terraform_data: no cloud resource, and no provider.
https://developer.hashicorp.com/terraform/language/resources/terraform-data
"""

from collections.abc import Iterable

from cdktf import Precondition, TerraformStack
from constructs import Construct

from stacks.constructs.expressions import string

_PROTECTED = (
    "Nothing was destroyed: the data are protected. Set database.deletion_protection = false and"
    " bucket.force_destroy = true and apply that first."
)


class Origin(Construct):
    """Remembers where a deployment began, for neither its region nor its engine can change.

    Names stay taken while there is an instance or a secret of that name in any region: in another one Google would
    refuse the new ones, when the bucket is gone already.

    Attributes:
        stays: The precondition for what must not move; it fails at plan.
    """

    def __init__(self, scope: Construct, id_: str, *, region: str, engine: str) -> None:
        """Makes it.

        Args:
            scope: Where.
            id_: Its id.
            region: An expression.
            engine: An expression.
        """
        super().__init__(scope, id_)
        TerraformStack.of(self).add_override(
            "resource.terraform_data.origin",
            {
                "input": {"region": string(region), "engine": string(engine)},
                "lifecycle": {"ignore_changes": ["input"]},
            },
        )
        began = "terraform_data.origin.output"
        self.stays = Precondition(
            condition=string(f"{began}.region == {region} && {began}.engine == {engine}"),
            error_message=(
                f"This deployment began in {string(f'{began}.region')} with {string(f'{began}.engine')}; another region"
                " or engine is another deployment, with data of its own. Give it another name, or destroy this one"
                " first."
            ),
        )


class DestroyGuard(Construct):
    """Is destroyed before everything else, and refuses while data are protected.

    Without it `terraform destroy` would end at the protected instance, after nearly all the rest had gone. What was
    applied counts, for a destroy does not read the configuration.
    """

    def __init__(self, scope: Construct, id_: str, *, is_protected: str, protects: Iterable[str]) -> None:
        """Makes it.

        Args:
            scope: Where.
            id_: Its id.
            is_protected: An expression.
            protects: Addresses of resources; what those depend on is protected, too.
        """
        super().__init__(scope, id_)
        # `echo` and `exit` are words of every shell that Terraform calls:
        # https://developer.hashicorp.com/terraform/language/provisioners#destroy-time-provisioners
        refuse = f'self.input ? "echo {_PROTECTED} && exit 1" : "exit 0"'
        TerraformStack.of(self).add_override(
            "resource.terraform_data.guard",
            {
                "input": string(is_protected),
                "depends_on": list(protects),
                "provisioner": [{"local-exec": {"when": "destroy", "command": string(refuse)}}],
            },
        )
