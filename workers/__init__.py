"""The workers: what takes events from the outbox to Planhat. Stands on `relay`; `relay` never imports it."""
