"""Containers on this machine, through podman or docker, and the images that they are made of. Knows no cloud."""
