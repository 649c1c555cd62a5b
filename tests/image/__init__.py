"""The image, run as Cloud Run runs it."""
