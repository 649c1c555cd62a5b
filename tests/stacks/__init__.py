"""Tests of what is synthesized."""
