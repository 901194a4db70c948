"""How large and how often calls may be."""
