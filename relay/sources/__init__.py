"""The sources: one module a provider, each turning verified bytes into `Event`s. None imports another's module."""
