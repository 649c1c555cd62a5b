"""Promises of the whole system, kept by real parts: Terraform, the image, the proxy, a database, a browser."""
