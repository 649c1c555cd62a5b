"""The settings file of an environment: its fields, its rules, and how it is read."""
