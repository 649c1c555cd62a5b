"""Google's services made of containers and processes of this machine."""
