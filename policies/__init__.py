"""The project's own checkov policies: one rule, one file, named after what it promises.

checkov loads each file by its path, with this folder on `sys.path`; hence `from _policy import ...`:
https://www.checkov.io/3.Custom%20Policies/Python%20Custom%20Policies.html. `_policy.py` alone touches checkov.
The fixtures that trip and pass a rule are in `tests/policies/fixtures/<file>.json`.
"""
