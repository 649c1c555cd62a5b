"""What knows Terraform and no Google: its protocol, its plans, its schemas, and when it has nothing else to do."""
