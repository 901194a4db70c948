"""Planhat: the client, how its answers are read, the table of properties, and a sandbox that stands in for it."""
