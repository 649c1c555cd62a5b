"""A Terraform provider and the services behind it that realize the stack on this machine, without Google."""
