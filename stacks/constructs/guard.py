"""Guards against a destroy that begins although data is protected, and against a move that would lose it.

Both are kept in Terraform's own state, by its built-in terraform_data: no cloud resource, and no provider.
https://developer.hashicorp.com/terraform/language/resources/terraform-data
"""

from cdktf import Postcondition, Precondition, TerraformStack
from constructs import Construct

from stacks import addresses
from stacks.addresses import Address
from stacks.constructs.expressions import kms_key, local, string
from stacks.inputs import Placement

_PROTECTED = (
    "Nothing was destroyed: the data are protected. Set database.deletion_protection = false and"
    " bucket.force_destroy = true and apply that first."
)


class Origin(Construct):
    """Remembers where a deployment began, for neither its region nor its engine can change.

    Nor can the key of its database. Names stay taken while there is an instance or a secret of that name in any region:
    in another one Google would refuse the new ones, when the bucket is gone already.

    Attributes:
        stays: The precondition for what must not move; it fails at plan.
    """

    def __init__(self, scope: Construct, id_: str, *, placement: Placement, engine: str) -> None:
        """Makes it.

        Args:
            scope: Where.
            id_: Its id.
            placement: Whose region it remembers.
            engine: An expression.
        """
        super().__init__(scope, id_)
        address = addresses.ORIGIN.of(placement.prefix)
        region = local(self, f"{placement.prefix}region", placement.region)
        TerraformStack.of(self).add_override(
            f"resource.{address}",
            {
                "input": {
                    "region": string(region),
                    "engine": string(engine),
                    "kms_key": string(kms_key(self, placement)),
                },
                "lifecycle": {"ignore_changes": ["input"]},
            },
        )
        began = f"{address}.output"
        self.stays = Precondition(
            condition=string(f"{began}.region == {region} && {began}.engine == {engine}"),
            error_message=(
                f"This deployment began in {string(f'{began}.region')} with {string(f'{began}.engine')}; another region"
                " or engine is another deployment, with data of its own. Give it another name, or destroy this one"
                " first."
            ),
        )


def key_stays(prefix: str, *, key: str, other: str) -> Precondition:
    """The precondition of a database's key, which holds while another instance serves in its place.

    Args:
        prefix: Of the deployment's logical ids.
        key: An expression.
        other: An expression of the name of that other instance; empty for none.
    """
    began = f'try({addresses.ORIGIN.of(prefix)}.output.kms_key, "")'
    made = f'{began} == "" ? "without a key of yours" : "under {string(began)}"'
    return Precondition(
        condition=string(f'{other} != "" || {began} == {key}'),
        error_message=(
            f"The database was made {string(made)}, and Google cannot change that. encryption.kms_key changes together"
            " with database.serving_instance, which names an instance that was restored under the new key: see the"
            " runbook, Encrypt with another key. Nothing was changed."
        ),
    )


def is_in_network(vpc: str, found: str) -> Postcondition:
    """The postcondition of a database that is to be in a network; of one that exists, it is looked at by the plan.

    Args:
        vpc: An expression of the network; empty for none.
        found: An expression of the network that it is in.
    """
    return Postcondition(
        condition=string(f'{vpc} == "" || endswith(coalesce({found}, "-"), {vpc})'),
        error_message=(
            f"The database is not in the network {string(vpc)}, and Terraform does not move it: it would make another"
            " one, without data. gcloud moves it: see the runbook, Put the database into a network. Nothing was"
            " changed."
        ),
    )


class DestroyGuard(Construct):
    """Is destroyed before everything else, and refuses while data are protected.

    Without it `terraform destroy` would end at the protected instance, after nearly all the rest had gone. What was
    applied counts, for a destroy does not read the configuration.
    """

    def __init__(self, scope: Construct, id_: str, *, prefix: str, is_protected: str, protects: list[Address]) -> None:
        """Makes it.

        Args:
            scope: Where.
            id_: Its id.
            prefix: Of its logical id.
            is_protected: An expression.
            protects: The resources that it is destroyed before.
        """
        super().__init__(scope, id_)
        # `echo` and `exit` are words of every shell that Terraform calls:
        # https://developer.hashicorp.com/terraform/language/provisioners#destroy-time-provisioners
        refuse = f'self.input ? "echo {_PROTECTED} && exit 1" : "exit 0"'
        TerraformStack.of(self).add_override(
            f"resource.{addresses.DESTROY_GUARD.of(prefix)}",
            {
                "input": string(is_protected),
                "depends_on": list[str](protects),
                "provisioner": [{"local-exec": {"when": "destroy", "command": string(refuse)}}],
            },
        )
