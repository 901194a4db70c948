"""What a webhook leaves out, looked up at the provider."""
