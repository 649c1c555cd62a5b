"""The module that platform teams call."""
