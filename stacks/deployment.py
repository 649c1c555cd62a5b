"""The deployment: provider and backend, settings to inputs, outputs."""

from cdktf import TerraformProvider
from constructs import Construct

from stacks import hcl, names, versions
from stacks.inputs import Inputs, Placement
from stacks.outputs import add_outputs, addresses, commands
from stacks.root import RootStack
from stacks.settings.model import Settings
from stacks.settings.section import Section
from stacks.tracking import TrackingServer
from stacks.variables.declarations import SECRET, declare, secret


class DeploymentStack(RootStack):
    """One tracking server, deployed with the settings of one environment."""

    def __init__(self, scope: Construct, id_: str, *, settings: Settings, environment: str) -> None:
        super().__init__(scope, id_, settings=settings)
        if settings.state.bucket:
            self.keep_state_in_bucket(settings.state.bucket, environment)
        else:
            self.keep_state_in_checkout(environment)
        TerraformProvider(
            self, "random", terraform_resource_type="random", terraform_provider_source="hashicorp/random"
        )
        self.add_override("terraform.required_providers.random.version", versions.RANDOM)

        if settings.iap.enabled:
            self.add_override("terraform.required_providers.google.version", versions.GOOGLE_WITH_IAP)
        else:
            declare(self, {SECRET: secret()})
        inputs = settings_to_inputs(settings, oauth_client_secret="" if settings.iap.enabled else f"var.{SECRET}")
        server = TrackingServer(self, "tracking-server", inputs=inputs)
        add_outputs(self, [*addresses(server.foundation, server.serving), *commands(self, server.serving)])


def settings_to_inputs(settings: Settings, *, oauth_client_secret: str) -> Inputs:
    """Turns settings into the constructs' inputs.

    Args:
        settings: The settings of one environment.
        oauth_client_secret: The expression of the one input that is no setting.
    """
    escaped = _escaped(settings)
    return Inputs(
        placement=Placement.of(escaped, names.CloudNames.of(settings.name)),
        settings=escaped,
        oauth_client_secret=oauth_client_secret,
    )


def _escaped(settings: Settings) -> Settings:
    """Settings with strings that mean themselves in Terraform; what is escaped need not hold the rules."""
    sections = {
        name: section.model_construct(**hcl.escaped(section.model_dump()))
        for name, section in settings
        if isinstance(section, Section)
    }
    return settings.model_copy(update={**sections, "labels": hcl.escaped(settings.labels)})
