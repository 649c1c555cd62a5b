"""Tests of what runs containers and builds images."""
