"""The image's jobs: commands that end by themselves, beside the server; it imports none of them."""
