"""The settings as Terraform variables: types, defaults, descriptions and validations, all from stacks/settings/."""
