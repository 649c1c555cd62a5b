"""The resources of the local cloud as real parts of this machine."""
