"""Finding stored events: by time, source, kind, rule, state, sender, company, words."""
