"""Planhat's public Python clients, driven operation by operation: each file runs in a virtual environment of its own."""
