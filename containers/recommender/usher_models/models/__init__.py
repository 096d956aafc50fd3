"""The algorithms: each one file, registered by name, so that a new one is one more file."""
