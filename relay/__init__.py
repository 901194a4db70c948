"""planhat-relay: webhooks in, Planhat conversations out."""
