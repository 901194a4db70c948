"""The door: one request verified, mapped and recorded, with no HTTP in it."""
