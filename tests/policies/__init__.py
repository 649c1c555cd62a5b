"""Tests of the policies and of the scan."""
