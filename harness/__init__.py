"""Runs the project's parts here, for tests, bench and tools: the image, its clients, attackers, a whole cloud."""
