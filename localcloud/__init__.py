"""A Terraform provider that realizes Google Cloud's resources on this machine: docs/local-cloud.md."""
