"""What `make` runs beside the checks and the tests."""
