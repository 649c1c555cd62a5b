"""The real parts of the local cloud, as programs and people use them."""
