"""The index of stored events: which of them hold a word, a sender, a rule. `docs/design/search.md` says why it looks so."""
