"""Promises of the local cloud, kept by the real terraform."""
