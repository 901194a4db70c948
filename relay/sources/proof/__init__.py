"""What proves that a request is genuine."""
