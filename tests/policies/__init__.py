"""Tests of the policies, and the scan that other tests use."""
