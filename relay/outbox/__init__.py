"""The outbox in Redis. See `outbox.py` for its keys and its law."""
