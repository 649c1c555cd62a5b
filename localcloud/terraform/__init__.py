"""Everything that knows Terraform and not Google: its protocol, plans, schemas, and when it has nothing else to do."""
