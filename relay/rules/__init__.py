"""What users write: which events become which conversations. `load.py` reads it, `rule.py` does it."""
