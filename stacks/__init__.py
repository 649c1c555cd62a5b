"""MLflow on Google Cloud as Terraform: settings, constructs and the stacks they make."""
