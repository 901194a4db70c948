"""What the tenant has: its custom fields and its activity tags."""
