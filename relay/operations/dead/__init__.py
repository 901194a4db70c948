"""Dead letters: listed by cause, one in full, edited, replayed, discarded."""
