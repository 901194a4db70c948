"""The config file: read, checked, described by a schema."""
