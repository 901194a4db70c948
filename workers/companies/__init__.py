"""Finding the company of a conversation."""
