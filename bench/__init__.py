"""The measurements, each against its baseline in the same run."""
