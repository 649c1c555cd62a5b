"""The programs behind `make`, except checks and tests."""
