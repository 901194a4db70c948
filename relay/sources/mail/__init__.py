"""Mail as every mail provider delivers it."""
