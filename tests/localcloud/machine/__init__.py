"""The local cloud made of containers: every part is a real one."""
