"""Interleavings by seed: `python -m bench.storm --seeds 200`. One process, a real Redis, a simulated Planhat; the rest
is chance: events in any order, edits and deletions, up to three flushes inside of one another, leases that run out
under a working flush, crashes before and after any Redis command and any call, every whole-batch failure, items that
Planhat refuses in every error style; a Redis that is full, gives no answer, is set back to an older state or whose clock
goes back; calls that take effect after the one that followed. The seed of a failure replays it.

At each step what is said (the books, "delivered", "nearly full", how many events are gone) is held against the truth. What must hold
in the end: the books balance, nothing is pending, every document and every record in Planhat equals
the fold of its events, and there is one record per externalId.
"""
