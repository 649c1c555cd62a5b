"""What every test needs: the provider bindings, made lazy before anything imports cdktf."""

import os

from stacks import bindings

bindings.install(os.environ)
