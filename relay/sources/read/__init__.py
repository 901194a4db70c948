"""Reading foreign payloads without trusting them."""
