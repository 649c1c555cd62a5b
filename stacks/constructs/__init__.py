"""One construct per file: configuration in, read-only attributes and what to wait for out."""
