"""How large a deployment has to be, of what is measured in docs/bench/ and of the rules between settings."""
