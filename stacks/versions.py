"""The versions of Terraform and its providers that documents and modules ask for."""

from typing import Final

TERRAFORM: Final = ">= 1.11"
"""The first with write-only arguments: https://developer.hashicorp.com/terraform/language/resources/ephemeral"""

RANDOM: Final = ">= 3.7, < 4.0"
"""The first with an ephemeral random_password: https://github.com/hashicorp/terraform-provider-random/releases"""

GOOGLE_WAITS: Final = ">= 7.42.0, < 9.0.0"
"""Those that execute a job and wait for it: https://github.com/hashicorp/terraform-provider-google/releases/tag/v7.42.0"""

GOOGLE_WITH_IAP: Final = ">= 7.21.0, < 9.0.0"
"""Those that put Identity-Aware Proxy in front of a service: https://github.com/hashicorp/terraform-provider-google/releases/tag/v7.21.0"""

GOOGLE: Final = ">= 6.50.0, < 9.0.0"
"""Those whose schema the module's documents fit; a deployment pins the one of its bindings."""
