"""The engine that the tests run: terraform, or what CDKTF's own variable names, such as tofu (`make test-tofu`)."""

import os
from typing import Final

# https://developer.hashicorp.com/terraform/cdktf/create-and-deploy/environment-variables
ENGINE: Final = os.environ.get("TERRAFORM_BINARY_NAME", "terraform")
